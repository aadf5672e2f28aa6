import { createElement } from 'react'
import { auth } from '../auth.js'

export default async function Wrong() {
  const code = await (await auth()).open().then(
    () => 'no error',
    error => error.code
  )
  return createElement('p', null, code)
}
