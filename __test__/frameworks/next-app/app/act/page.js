import { createElement } from 'react'
import { auth } from '../auth.js'

async function login(form) {
  'use server'
  const sessions = await (await auth()).open()
  await sessions.create({ user_id: Number(form.get('user_id')) })
}

export default function Act() {
  return createElement('form', { action: login }, createElement('input', { name: 'user_id' }))
}
