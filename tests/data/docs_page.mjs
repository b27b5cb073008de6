// Runs the script of the page /docs over a description of the API, with a document that only
// remembers: prints the ids of all that was shown.
import fs from 'node:fs'

const [page, api] = process.argv.slice(2).map(path => fs.readFileSync(path, 'utf8'))
const shown = new Set()
const element = () => new Proxy({}, {
  get: (of, name) => of[name] ?? (() => {}),
  set: (of, name, value) => {
    if (name === 'id') shown.add(value)
    of[name] = value
    return true
  },
})
const byId = {}
globalThis.document = { createElement: element, getElementById: id => byId[id] ??= element() }
globalThis.location = { hash: '' }
globalThis.fetch = async () => ({ json: async () => JSON.parse(api) })
eval(page.match(/<script>([\s\S]*)<\/script>/)[1])
setTimeout(() => console.log([...shown].join('\n')), 100)
