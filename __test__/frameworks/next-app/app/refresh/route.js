import { auth } from '../auth.js'

export async function POST() {
  return Response.json((await (await (await auth()).open()).refresh()) !== null)
}
