import { auth } from './auth.js'

export async function GET() {
  try {
    const { session } = await (await auth()).open()
    return Response.json(session && { user_id: session.user_id, role: session.role })
  } catch (error) {
    return Response.json({ code: error.code }, { status: error.status ?? 500 })
  }
}
