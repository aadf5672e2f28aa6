const path = require('node:path')

module.exports = {
  serverExternalPackages: ['pg-sess-rs'],
  turbopack: { root: path.resolve(__dirname, '../../..') }
}
