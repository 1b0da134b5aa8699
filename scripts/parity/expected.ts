// The list of cases that are known not to pass, each with its reason. A case off the list must pass, and what is on it
// must not, so that the number of passes can only rise.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { KINDS, type Kind, type Outcome } from './report.ts'

/** `missing` names ops, modules and the like; `failing` has a case's name, or all of a group's, and why. */
export interface KindList {
  missing: string[]
  failing: Record<string, string>
}
export type List = Partial<Record<Kind, KindList>>

const NOT_YET = 'not there yet'

export function readList(path: string): List {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as List) : {}
}

export function writeList(path: string, list: List): void {
  writeFileSync(path, `${JSON.stringify(list, null, 1)}\n`)
}

/** `add.float32[3]` is in the group `add.float32`; other names are their own. */
function groupOf(name: string): string {
  return name.replace(/\[\d+\]$/, '')
}

/** A list that fits these outcomes; reasons of what stays on it are kept, and kinds that did not run. */
export function updateList(before: List, outcomes: ReadonlyMap<Kind, readonly Outcome[]>): List {
  const list: List = {}
  for (const kind of KINDS) {
    const found = outcomes.get(kind)
    const old = before[kind]
    if (!found) {
      if (old) list[kind] = old
      continue
    }
    const missing = [...new Set(found.filter((o) => o.status === 'missing').map((o) => o.subject))].sort()
    const failing: Record<string, string> = {}
    const groups = new Map<string, Outcome[]>()
    for (const o of found) groups.set(groupOf(o.name), [...(groups.get(groupOf(o.name)) ?? []), o])
    for (const [group, members] of groups) {
      const bad = members.filter((o) => o.status === 'failed')
      const whole = bad.length > 1 && bad.length === members.length
      for (const o of whole ? [{ ...bad[0], name: group }] : bad) {
        failing[o.name] = old?.failing[o.name] ?? old?.failing[group] ?? NOT_YET
      }
    }
    if (missing.length + Object.keys(failing).length > 0) list[kind] = { missing, failing }
  }
  return list
}

/** What does not fit: cases off the list that don't pass, cases on it that do, and (if all ran) entries that name nothing. */
export function compareWithList(list: List, outcomes: ReadonlyMap<Kind, readonly Outcome[]>, all: boolean): string[] {
  const problems: string[] = []
  for (const [kind, found] of outcomes) {
    const missing = new Set(list[kind]?.missing)
    const failing = list[kind]?.failing ?? {}
    const used = new Set<string>()
    for (const { name, subject, status, message } of found) {
      const key = [name, groupOf(name)].find((k) => Object.hasOwn(failing, k))
      if (key !== undefined) used.add(key)
      if (status === 'missing') {
        used.add(subject)
        if (!missing.has(subject)) problems.push(`${kind}: ${name} is not there any more: ${message ?? subject}`)
      } else if (status === 'failed' && key === undefined) problems.push(`${kind}: ${name} does not pass: ${message}`)
      else if (status === 'passed' && key !== undefined) {
        problems.push(`${kind}: ${key} passes now${key === name ? '' : ` (${name} does)`}: take it off the list`)
      }
    }
    if (!all) continue
    for (const name of [...missing, ...Object.keys(failing)]) {
      if (!used.has(name)) problems.push(`${kind}: '${name}' is there or passes now: take it off the list`)
    }
  }
  return [...new Set(problems)]
}
