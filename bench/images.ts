// 2000 JPEG files of 256x256, decoded, resized to 224, normalised, in batches of 32 by two workers: by the library as it
// is published and by its sources, of which each worker, new for each epoch, resolves hundreds of files.
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import * as vision from '@tytorch/vision'
import * as torch from 'tytorch'
import { build } from '../scripts/pack.ts'
import type { Figures, Workload } from './rival.ts'

const FILES = 2000
const folder = mkdtempSync(join(tmpdir(), 'images-'))
const installed = mkdtempSync(join(tmpdir(), 'installed-'))
process.on('exit', () => {
  for (const path of [folder, installed]) rmSync(path, { recursive: true })
})
process.env.BENCH_IMAGES = folder

interface Library {
  readonly torch: typeof torch
  readonly vision: typeof vision
}

/** The packages as npm would install them, in a folder of their own. */
async function install(): Promise<Library> {
  const modules = join(installed, 'node_modules')
  for (const [name, path] of [['tytorch', 'tytorch'], ['vision', '@tytorch/vision']]) // biome-ignore format: pairs
    cpSync(await build(name), join(modules, path), { recursive: true })
  const root = fileURLToPath(new URL('../node_modules/', import.meta.url))
  for (const name of ['sharp', '@cwasm']) symlinkSync(join(root, name), join(modules, name))
  const load = (path: string): Promise<unknown> => import(pathToFileURL(join(modules, path, 'index.js')).href)
  return {
    torch: (await load('tytorch')) as typeof torch,
    vision: (await load('@tytorch/vision')) as typeof vision,
  }
}

torch.manualSeed(0)
for (const name of ['a', 'b']) mkdirSync(join(folder, name))
for (let i = 0; i < FILES; i++) {
  // Upscaled noise: about 12 KB a file, smooth as photographs are.
  const small = torch.randint(0, 256, [3, 32, 32]).to(torch.uint8)
  const large = new vision.Resize([256, 256]).forward(small)
  await vision.saveImage(large, join(folder, i % 2 ? 'a' : 'b', `${String(i).padStart(4, '0')}.jpg`))
}
const published = await install()

/** Images a second. */
async function rate({ torch, vision }: Library): Promise<number> {
  const { Compose, ImageFolder, Normalize, Resize, ToTensor } = vision
  const transform = new Compose([
    new Resize([224, 224]),
    new ToTensor(),
    new Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
  ])
  const loader = new torch.utils.data.DataLoader(new ImageFolder(folder, { transform }), {
    batchSize: 32,
    numWorkers: 2,
  })
  const start = performance.now()
  let images = 0
  for await (const [x] of loader) images += x.size(0)
  if (images !== FILES) throw new Error(`${images} of ${FILES} images arrived`)
  return FILES / ((performance.now() - start) / 1000)
}

async function run(): Promise<Figures> {
  return { rate: await rate(published), sources: await rate({ torch, vision }) }
}

export const images: Workload = {
  name: 'images',
  title: `${FILES} JPEG files of 256x256: decode, resize to 224, normalise; 2 workers`,
  figures: {
    rate: { unit: 'images/s', better: 'more', compare: true },
    sources: { unit: 'images/s', better: 'more', compare: true, against: 'rate' },
  },
  script: 'images',
  repetitions: 3,
  run,
}
