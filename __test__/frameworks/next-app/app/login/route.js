import { auth } from '../auth.js'

export async function POST(request) {
  const sessions = await (await auth()).open()
  const row = await sessions.create(await request.json())
  return Response.json({ isOwn: row === sessions.session })
}
