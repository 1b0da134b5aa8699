// JPEG by libjpeg-turbo as WebAssembly (@cwasm/jpeg-turbo): the pixels that Pillow gives, to the bit, at a third of
// what libvips costs for a small picture. Its exports are called directly: the package's own function makes RGBA.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

/** Pixels [height, width, channels]. */
export interface Pixels {
  /** In the decoder's memory: they hold until the next call. */
  readonly data: Uint8Array
  readonly height: number
  readonly width: number
  readonly channels: 1 | 3
  readonly gray: boolean
}

/** TurboJPEG's functions (turbojpeg.h, 2.0). Pointers are numbers, and 0 or -1 says that something went wrong. */
interface TurboJpeg {
  readonly memory: WebAssembly.Memory
  malloc(size: number): number
  tjInitDecompress(): number
  tjDecompressHeader3(
    handle: number,
    source: number,
    size: number,
    width: number,
    height: number,
    subsampling: number,
    colours: number,
  ): number
  tjDecompress2(
    handle: number,
    source: number,
    size: number,
    target: number,
    width: number,
    pitch: number,
    height: number,
    format: number,
    flags: number,
  ): number
}

const [FORMAT_RGB, FORMAT_GRAY] = [0, 6]
const COLOURS_GRAY = 2

/** Above this libvips is as fast, for it has native vector code and does not hold up the thread. */
const MOST_PIXELS = 1 << 18

class Decoder {
  private readonly turbo: TurboJpeg
  private readonly handle: number
  private readonly header: number
  private source = { at: 0, size: 0 }
  private target = { at: 0, size: 0 }

  constructor(module: WebAssembly.Module) {
    const nothing = (): number => 0
    const fail = (): never => {
      throw new Error('libjpeg-turbo gave up')
    }
    // Errors leave by longjmp: by throwing, which drops the decoder with whatever state it was in.
    const system = { proc_exit: fail, environ_sizes_get: nothing, environ_get: fail, fd_close: fail, fd_seek: fail }
    const imports = {
      env: { setjmp: nothing, longjmp: fail },
      wasi_snapshot_preview1: { ...system, fd_write: fail },
    }
    this.turbo = new WebAssembly.Instance(module, imports).exports as unknown as TurboJpeg
    this.handle = this.turbo.tjInitDecompress()
    this.header = this.turbo.malloc(16)
  }

  /** Throws, or answers null, for anything but a sound picture in gray or in colours that become RGB. */
  decode(bytes: Uint8Array): Pixels | null {
    const { turbo, handle, header } = this
    this.source = this.room(this.source, bytes.length)
    const source = this.source.at
    new Uint8Array(turbo.memory.buffer).set(bytes, source)
    const places = [0, 4, 8, 12].map((offset) => header + offset) as [number, number, number, number]
    if (turbo.tjDecompressHeader3(handle, source, bytes.length, ...places) !== 0) return null
    const [width, height, , colours] = new Int32Array(turbo.memory.buffer, header, 4)
    if (width * height > MOST_PIXELS) return null
    const channels = colours === COLOURS_GRAY ? 1 : 3
    const pitch = width * channels
    this.target = this.room(this.target, pitch * height)
    const target = this.target.at
    const format = channels === 1 ? FORMAT_GRAY : FORMAT_RGB
    // A warning, as of a file that ends early, counts as a failure here.
    if (turbo.tjDecompress2(handle, source, bytes.length, target, width, pitch, height, format, 0) !== 0) return null
    const data = new Uint8Array(turbo.memory.buffer, target, pitch * height)
    return { data, height, width, channels, gray: channels === 1 }
  }

  /** A block of at least `size` bytes. Smaller ones that came before are left: each doubles, so they add up to little. */
  private room(block: { at: number; size: number }, size: number): { at: number; size: number } {
    if (block.size >= size) return block
    const wanted = Math.max(2 * block.size, size, 65536)
    const at = this.turbo.malloc(wanted)
    if (at === 0) throw new Error('no memory')
    return { at, size: wanted }
  }
}

let module: WebAssembly.Module | null = null
let decoder: Decoder | null = null

function load(): WebAssembly.Module {
  const path = createRequire(import.meta.url).resolve('@cwasm/jpeg-turbo/jpeg-turbo.wasm')
  return new WebAssembly.Module(readFileSync(path))
}

/**
 * Compiles the decoder, if that is still to do. What V8 makes of a module is shared by the threads that hold one with
 * the same bytes, and optimized once; held here, it outlives the workers of an epoch.
 */
export function keepDecoder(): void {
  module ??= load()
}

/** The most bytes a file may have: what is larger has too many pixels, or more metadata than is worth copying. */
const MOST_BYTES = 1 << 22

/**
 * The pixels of a JPEG file of up to 2^18 pixels; null for what is none, or is damaged, or has colours of print, or is
 * larger: sharp decodes that, or says what is wrong with it.
 */
export function decodeJpeg(bytes: Uint8Array): Pixels | null {
  if (bytes.length < 4 || bytes.length > MOST_BYTES || bytes[0] !== 0xff || bytes[1] !== 0xd8) return null
  keepDecoder()
  try {
    decoder ??= new Decoder(module as WebAssembly.Module)
    const pixels = decoder.decode(bytes)
    // What a warning leaves behind is not worth knowing.
    if (pixels === null) decoder = null
    return pixels
  } catch {
    decoder = null
    return null
  }
}
