import { createElement } from 'react'
import { auth } from '../auth.js'

export default async function Page() {
  const session = await (await auth()).read()
  return createElement('p', null, `user ${session?.user_id ?? 'none'}.`)
}
