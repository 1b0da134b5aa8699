// The page: trains without workers and with two, shows the losses, and says whether both came to the same weights. Then
// it trains larger networks on one thread and on two.
import { type Losses, trainOn } from './threads.ts'
import { type Outcome, train } from './train.ts'

/** What the page found out; `window.outcome` is a promise of it. */
export type PageOutcome = {
  isolated: boolean
  alone: Outcome
  loaded: Outcome
  seconds: number
  /** With kernels on one thread and on two. */
  threads: [Losses, Losses]
}

const show = (text: string): void => {
  document.body.append(Object.assign(document.createElement('pre'), { textContent: text }))
}

async function main(): Promise<PageOutcome> {
  const csv = await (await fetch('./iris.csv')).text()
  const isolated = globalThis.crossOriginIsolated
  show(isolated ? 'The page is cross-origin isolated: memory is shared.' : 'The page is not isolated: workers copy.')
  const alone = await train(csv, 0)
  const start = performance.now()
  const loaded = await train(csv, 2)
  const seconds = (performance.now() - start) / 1000
  show(loaded.losses.map((loss, epoch) => `epoch ${String(epoch + 1).padStart(2)}: loss ${loss.toFixed(4)}`).join('\n'))
  show(`Two workers: ${seconds.toFixed(2)} s; batches came from workers ${loaded.workers.join(' and ')}.`)
  show(`The weights ${alone.weights === loaded.weights ? 'equal' : 'DIFFER FROM'} those of the run without workers.`)
  const threads: [Losses, Losses] = [await trainOn(1), await trainOn(2)]
  for (const [training, losses] of Object.entries(threads[1])) {
    show(`${training}, on ${isolated ? 'two threads' : 'one thread'}: last loss ${losses.at(-1)?.toFixed(6)}`)
  }
  return { isolated, alone, loaded, seconds, threads }
}

const outcome = main()
outcome.catch((error: unknown) => show(String(error)))
Object.assign(globalThis, { outcome })
