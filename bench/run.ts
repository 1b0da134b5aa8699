// `npm run bench -- [NAME...]`: runs workloads, all of them without a name, each interleaved with PyTorch where
// PYTORCH_PYTHON names a Python that has it.
import { compare, type Workload } from './rival.ts'

const workloads: Record<string, () => Promise<Workload>> = {
  ...Object.fromEntries(
    ['W1', 'W1b', 'W1c', 'W2', 'W3', 'W4', 'W5'].map((name) => [
      name,
      async () => (await import('./training.ts')).workloads[name],
    ]),
  ),
  overhead: async () => (await import('./overhead.ts')).overhead,
  loader: async () => (await import('./loader.ts')).loader,
  images: async () => (await import('./images.ts')).images,
  normalization: async () => (await import('./normalization.ts')).normalization,
  startup: async () => (await import('./startup.ts')).startup,
}
/** Benchmarks that print their own tables. */
const programs: Record<string, () => Promise<unknown>> = {
  matmul: () => import('./matmul.ts'),
  conv: () => import('./conv.ts'),
  elementwise: () => import('./elementwise.ts'),
  kernels: () => import('./kernels.ts'),
  memory: () => import('./memory.ts'),
  ops: () => import('./ops.ts'),
}

const names = process.argv.slice(2)
const unknown = names.find((n) => !(n in workloads) && !(n in programs))
if (unknown) {
  console.error(
    `there is no benchmark '${unknown}'; there are ${[...Object.keys(workloads), ...Object.keys(programs)].join(', ')}`,
  )
  process.exitCode = 2
} else {
  for (const name of names.length ? names : [...Object.keys(workloads), ...Object.keys(programs)]) {
    const load = workloads[name]
    if (load) await compare(await load())
    else await programs[name]()
  }
}
