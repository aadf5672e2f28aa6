'use strict'

// The middleware for Express in the real NestJS, as docs/frameworks.md says.

const { requireSession, sessionMiddleware } = require('pg-sess-rs/express')
const { doorSuite } = require('../suites/door.suite.js')
const { framework, lacksFrameworks } = require('../support/needs.js')

const skip = lacksFrameworks()

/** What the decorators `@Controller()`, `@Get()`, `@Req()`, … do to a class when TypeScript has compiled them. */
function controller() {
  const { Controller, Get, Header, HttpCode, Post, Req, Res } = framework('@nestjs/common')

  class App {
    /** @param {any} req */
    me({ session }) {
      return JSON.stringify(session && { user_id: session.user_id, role: session.role })
    }

    /** @param {any} req */
    async login(req) {
      const row = await req.sessions.create(req.body)
      return { isOwn: row === req.session }
    }

    /** @param {any} req */
    async logout(req) {
      return JSON.stringify(await req.sessions.destroy())
    }

    /** @param {any} req */
    async refresh(req) {
      return JSON.stringify((await req.sessions.refresh()) !== null)
    }

    /**
     * @param {any} req
     * @param {any} res
     */
    async late(req, res) {
      res.write('begun\n')
      await req.sessions.create({ user_id: 1 }).catch((/** @type {any} */ error) => res.end(error.code))
    }

    members() {
      return 'in'
    }
  }

  const routes = {
    me: [Get('/')],
    login: [Post('/login'), HttpCode(200)],
    logout: [Post('/logout'), HttpCode(200)],
    refresh: [Post('/refresh'), HttpCode(200)],
    late: [Get('/late')],
    members: [Get(['/members', '/admin', '/redirected']), Header('X-In', 'yes')]
  }
  for (const [name, decorators] of Object.entries(routes)) {
    Req()(App.prototype, name, 0)
    if (name === 'late') Res()(App.prototype, name, 1)
    const descriptor = Object.getOwnPropertyDescriptor(App.prototype, name)
    for (const decorate of decorators) decorate(App.prototype, name, descriptor)
  }
  Controller()(App)
  return App
}

/** @type {import('../suites/door.suite.js').Start} */
async function start(t, sessions, options) {
  framework('reflect-metadata')
  const { NestFactory } = framework('@nestjs/core')
  const { Module } = framework('@nestjs/common')
  class AppModule {}
  Module({ controllers: [controller()] })(AppModule)
  const app = await NestFactory.create(AppModule, { logger: false, forceCloseConnections: true })
  t.after(() => app.close())
  app.set('trust proxy', true)
  app.use(sessionMiddleware(sessions, options))
  app.use('/members', requireSession())
  app.use('/admin', requireSession({ where: { role: 'admin' } }))
  app.use('/redirected', requireSession({ redirect: '/login' }))
  await app.listen(0, '127.0.0.1')
  return `http://127.0.0.1:${app.getHttpServer().address().port}`
}

doorSuite('NestJS', start, { skip })
