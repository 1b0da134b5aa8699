// A WebAssembly assembler: functions are written as a stack machine's instructions, in order, straight to bytes.
// Opcodes are from the core specification, the SIMD and relaxed SIMD proposals (prefix 0xfd) and threads (0xfe).

export const I32 = 0x7f
export const I64 = 0x7e
export const F32 = 0x7d
export const F64 = 0x7c
export const V128 = 0x7b
export type ValueType = typeof I32 | typeof I64 | typeof F32 | typeof F64 | typeof V128

/** An opcode: one byte, 0xfc00 | n, or a prefixed one made by `simd` and `atomic`. */
export type Op = number

const SIMD = 0x10000
const ATOMIC = 0x20000
const simd = (n: number): Op => SIMD | n
const atomic = (n: number): Op => ATOMIC | n

export const i32 = {
  eqz: 0x45, eq: 0x46, ne: 0x47, ltS: 0x48, ltU: 0x49, gtS: 0x4a, gtU: 0x4b, leS: 0x4c, leU: 0x4d, geS: 0x4e, geU: 0x4f,
  add: 0x6a, sub: 0x6b, mul: 0x6c, divS: 0x6d, divU: 0x6e, remS: 0x6f, remU: 0x70, and: 0x71, or: 0x72, xor: 0x73,
  shl: 0x74, shrS: 0x75, shrU: 0x76, clz: 0x67, ctz: 0x68,
  wrapI64: 0xa7, reinterpretF32: 0xbc, truncSatF32S: 0xfc00, truncSatF64S: 0xfc02,
  load: 0x28, load8S: 0x2c, load8U: 0x2d, load16S: 0x2e, load16U: 0x2f, store: 0x36, store8: 0x3a, store16: 0x3b,
} as const // biome-ignore format: a table

export const i64 = {
  eqz: 0x50, eq: 0x51, ne: 0x52, ltS: 0x53, gtS: 0x55, leS: 0x57, geS: 0x59,
  add: 0x7c, sub: 0x7d, mul: 0x7e, divS: 0x7f, remS: 0x81, and: 0x83, or: 0x84, xor: 0x85, shl: 0x86, shrS: 0x87, shrU: 0x88,
  extendI32S: 0xac, extendI32U: 0xad, reinterpretF64: 0xbd, truncSatF32S: 0xfc04, truncSatF64S: 0xfc06, popcnt: 0x7b,
  load: 0x29, load32U: 0x35, store: 0x37,
} as const // biome-ignore format: a table

export const f32 = {
  eq: 0x5b, ne: 0x5c, lt: 0x5d, gt: 0x5e, le: 0x5f, ge: 0x60, abs: 0x8b, neg: 0x8c, sqrt: 0x91,
  add: 0x92, sub: 0x93, mul: 0x94, div: 0x95, min: 0x96, max: 0x97,
  convertI32S: 0xb2, convertI64S: 0xb4, demoteF64: 0xb6, reinterpretI32: 0xbe, load: 0x2a, store: 0x38,
} as const // biome-ignore format: a table

export const f64 = {
  eq: 0x61, ne: 0x62, lt: 0x63, gt: 0x64, le: 0x65, ge: 0x66, abs: 0x99, neg: 0x9a, sqrt: 0x9f,
  add: 0xa0, sub: 0xa1, mul: 0xa2, div: 0xa3, min: 0xa4, max: 0xa5,
  convertI32S: 0xb7, convertI64S: 0xb9, promoteF32: 0xbb, reinterpretI64: 0xbf, load: 0x2b, store: 0x39,
} as const // biome-ignore format: a table

export const v128 = {
  load: simd(0x00), load8Splat: simd(0x07), load16Splat: simd(0x08), load32Splat: simd(0x09), load64Splat: simd(0x0a),
  load16x4S: simd(0x03), load16x4U: simd(0x04), load32Zero: simd(0x5c), load64Zero: simd(0x5d), store: simd(0x0b),
  not: simd(0x4d), and: simd(0x4e), andnot: simd(0x4f), or: simd(0x50), xor: simd(0x51), bitselect: simd(0x52), anyTrue: simd(0x53),
  load8Lane: simd(0x54), load16Lane: simd(0x55), load32Lane: simd(0x56), load64Lane: simd(0x57),
  store8Lane: simd(0x58), store16Lane: simd(0x59), store32Lane: simd(0x5a), store64Lane: simd(0x5b),
} as const // biome-ignore format: a table

export const i8x16 = {
  splat: simd(0x0f),
  narrowI16x8S: simd(0x65),
  narrowI16x8U: simd(0x66),
  bitmask: simd(0x64),
} as const

export const i16x8 = {
  splat: simd(0x10),
  narrowI32x4S: simd(0x85),
  narrowI32x4U: simd(0x86),
  extendLowI8x16S: simd(0x87),
  extendHighI8x16S: simd(0x88),
  extendLowI8x16U: simd(0x89),
  extendHighI8x16U: simd(0x8a),
} as const

export const i32x4 = {
  splat: simd(0x11), extractLane: simd(0x1b), replaceLane: simd(0x1c), extendLowI16x8S: simd(0xa7), extendHighI16x8S: simd(0xa8), extendLowI16x8U: simd(0xa9), extendHighI16x8U: simd(0xaa),
  eq: simd(0x37), ne: simd(0x38), ltS: simd(0x39), gtS: simd(0x3b), leS: simd(0x3d), geS: simd(0x3f),
  abs: simd(0xa0), neg: simd(0xa1), allTrue: simd(0xa3), bitmask: simd(0xa4), shl: simd(0xab), shrS: simd(0xac), shrU: simd(0xad),
  add: simd(0xae), sub: simd(0xb1), mul: simd(0xb5), minS: simd(0xb6), maxS: simd(0xb8),
  truncSatF32x4S: simd(0xf8), truncSatF64x2SZero: simd(0xfc),
} as const // biome-ignore format: a table

export const i64x2 = {
  splat: simd(0x12), extractLane: simd(0x1d), replaceLane: simd(0x1e), extendLowI32x4S: simd(0xc7), extendHighI32x4S: simd(0xc8),
  eq: simd(0xd6), ne: simd(0xd7), ltS: simd(0xd8), gtS: simd(0xd9), leS: simd(0xda), geS: simd(0xdb),
  abs: simd(0xc0), neg: simd(0xc1), allTrue: simd(0xc3), bitmask: simd(0xc4), shl: simd(0xcb), shrS: simd(0xcc), shrU: simd(0xcd),
  add: simd(0xce), sub: simd(0xd1), mul: simd(0xd5),
} as const // biome-ignore format: a table

export const f32x4 = {
  splat: simd(0x13), extractLane: simd(0x1f), replaceLane: simd(0x20),
  eq: simd(0x41), ne: simd(0x42), lt: simd(0x43), gt: simd(0x44), le: simd(0x45), ge: simd(0x46),
  ceil: simd(0x67), floor: simd(0x68), trunc: simd(0x69), nearest: simd(0x6a),
  abs: simd(0xe0), neg: simd(0xe1), sqrt: simd(0xe3), add: simd(0xe4), sub: simd(0xe5), mul: simd(0xe6), div: simd(0xe7),
  min: simd(0xe8), max: simd(0xe9), pmin: simd(0xea), pmax: simd(0xeb), convertI32x4S: simd(0xfa), demoteF64x2Zero: simd(0x5e),
  relaxedMadd: simd(0x105), relaxedNmadd: simd(0x106),
} as const // biome-ignore format: a table

export const f64x2 = {
  splat: simd(0x14), extractLane: simd(0x21), replaceLane: simd(0x22),
  eq: simd(0x47), ne: simd(0x48), lt: simd(0x49), gt: simd(0x4a), le: simd(0x4b), ge: simd(0x4c),
  ceil: simd(0x74), floor: simd(0x75), trunc: simd(0x7a), nearest: simd(0x94),
  abs: simd(0xec), neg: simd(0xed), sqrt: simd(0xef), add: simd(0xf0), sub: simd(0xf1), mul: simd(0xf2), div: simd(0xf3),
  min: simd(0xf4), max: simd(0xf5), pmin: simd(0xf6), pmax: simd(0xf7), convertLowI32x4S: simd(0xfe), promoteLowF32x4: simd(0x5f),
  relaxedMadd: simd(0x107), relaxedNmadd: simd(0x108),
} as const // biome-ignore format: a table

export const atomics = {
  notify: atomic(0x00),
  wait32: atomic(0x01),
  load: atomic(0x10),
  store: atomic(0x17),
  add: atomic(0x1e),
} as const

/** Unsigned LEB128. */
function unsigned(out: number[], value: number): void {
  let n = value >>> 0
  do {
    const low = n & 127
    n >>>= 7
    out.push(n ? low | 128 : low)
  } while (n)
}

/** Signed LEB128 of 32 bits. */
function signed32(out: number[], value: number): void {
  let n = value | 0
  for (;;) {
    const low = n & 127
    n >>= 7
    if ((n === 0 && !(low & 64)) || (n === -1 && low & 64)) {
      out.push(low)
      return
    }
    out.push(low | 128)
  }
}

/** Signed LEB128 of 64 bits. */
function signed64(out: number[], value: bigint): void {
  let n = value
  for (;;) {
    const low = Number(n & 127n)
    n >>= 7n
    if ((n === 0n && !(low & 64)) || (n === -1n && low & 64)) {
      out.push(low)
      return
    }
    out.push(low | 128)
  }
}

const scratch = new DataView(new ArrayBuffer(8))

/** One function being written; methods append an instruction and return the function, so they chain. */
export class Func {
  readonly index: number
  readonly params: readonly ValueType[]
  readonly results: readonly ValueType[]
  readonly bytes: number[] = []
  private readonly locals: ValueType[] = []

  constructor(index: number, params: readonly ValueType[], results: readonly ValueType[]) {
    this.index = index
    this.params = params
    this.results = results
  }

  /** Declares a local (zero at entry) and returns its index. */
  local(type: ValueType): number {
    return this.params.length + this.locals.push(type) - 1
  }

  get(local: number): this {
    this.bytes.push(0x20)
    unsigned(this.bytes, local)
    return this
  }

  set(local: number): this {
    this.bytes.push(0x21)
    unsigned(this.bytes, local)
    return this
  }

  tee(local: number): this {
    this.bytes.push(0x22)
    unsigned(this.bytes, local)
    return this
  }

  i32(value: number): this {
    this.bytes.push(0x41)
    signed32(this.bytes, value)
    return this
  }

  i64(value: bigint): this {
    this.bytes.push(0x42)
    signed64(this.bytes, BigInt.asIntN(64, value))
    return this
  }

  f32(value: number): this {
    this.bytes.push(0x43)
    scratch.setFloat32(0, value, true)
    for (let i = 0; i < 4; i++) this.bytes.push(scratch.getUint8(i))
    return this
  }

  f64(value: number): this {
    this.bytes.push(0x44)
    scratch.setFloat64(0, value, true)
    for (let i = 0; i < 8; i++) this.bytes.push(scratch.getUint8(i))
    return this
  }

  /** A v128 constant that repeats the low 4 or 8 bytes given. */
  v128(lane: readonly number[]): this {
    this.bytes.push(0xfd, 12)
    for (let i = 0; i < 16; i++) this.bytes.push(lane[i % lane.length])
    return this
  }

  f32x4(value: number): this {
    scratch.setFloat32(0, value, true)
    return this.v128([0, 1, 2, 3].map((i) => scratch.getUint8(i)))
  }

  f64x2(value: number): this {
    scratch.setFloat64(0, value, true)
    return this.v128([0, 1, 2, 3, 4, 5, 6, 7].map((i) => scratch.getUint8(i)))
  }

  i32x4(value: number): this {
    scratch.setInt32(0, value, true)
    return this.v128([0, 1, 2, 3].map((i) => scratch.getUint8(i)))
  }

  i64x2(value: bigint): this {
    scratch.setBigInt64(0, value, true)
    return this.v128([0, 1, 2, 3, 4, 5, 6, 7].map((i) => scratch.getUint8(i)))
  }

  /** An instruction without immediates. */
  op(code: Op): this {
    if (code >= ATOMIC) this.bytes.push(0xfe, code & 0xff)
    else if (code >= SIMD) {
      this.bytes.push(0xfd)
      unsigned(this.bytes, code & 0xffff)
    } else if (code >= 0xfc00) this.bytes.push(0xfc, code & 0xff)
    else this.bytes.push(code)
    return this
  }

  /** A load or store with its immediate offset in bytes. Alignment is a hint (1 byte), but exact (4) for atomics. */
  mem(code: Op, offset = 0): this {
    this.op(code)
    this.bytes.push(code >= ATOMIC ? 2 : 0)
    unsigned(this.bytes, offset)
    return this
  }

  /** A lane load or store: address and vector are on the stack. */
  memLane(code: Op, lane: number, offset = 0): this {
    this.mem(code, offset)
    this.bytes.push(lane)
    return this
  }

  /** Extracts or replaces a lane. */
  lane(code: Op, lane: number): this {
    this.op(code)
    this.bytes.push(lane)
    return this
  }

  /** Picks four 32-bit lanes of two vectors: 0-3 from the first, 4-7 from the second. */
  shuffle32(lanes: readonly [number, number, number, number]): this {
    this.bytes.push(0xfd, 13)
    for (const l of lanes) for (let b = 0; b < 4; b++) this.bytes.push(l * 4 + b)
    return this
  }

  /** Picks two 64-bit lanes of two vectors: 0-1 from the first, 2-3 from the second. */
  shuffle64(lanes: readonly [number, number]): this {
    this.bytes.push(0xfd, 13)
    for (const l of lanes) for (let b = 0; b < 8; b++) this.bytes.push(l * 8 + b)
    return this
  }

  /** `local += value`, i32. */
  inc(local: number, value: number): this {
    return this.get(local).i32(value).op(i32.add).set(local)
  }

  block(body: () => void): this {
    this.bytes.push(0x02, 0x40)
    body()
    this.bytes.push(0x0b)
    return this
  }

  loop(body: () => void): this {
    this.bytes.push(0x03, 0x40)
    body()
    this.bytes.push(0x0b)
    return this
  }

  /** Runs `then` if the i32 on the stack is not zero. */
  if(then: () => void, otherwise?: () => void): this {
    this.bytes.push(0x04, 0x40)
    then()
    if (otherwise) {
      this.bytes.push(0x05)
      otherwise()
    }
    this.bytes.push(0x0b)
    return this
  }

  /** Picks the first of two values on the stack if the i32 above them is not zero. */
  select(): this {
    this.bytes.push(0x1b)
    return this
  }

  br(depth: number): this {
    this.bytes.push(0x0c)
    unsigned(this.bytes, depth)
    return this
  }

  brIf(depth: number): this {
    this.bytes.push(0x0d)
    unsigned(this.bytes, depth)
    return this
  }

  call(func: Func | number): this {
    this.bytes.push(0x10)
    unsigned(this.bytes, typeof func === 'number' ? func : func.index)
    return this
  }

  return(): this {
    this.bytes.push(0x0f)
    return this
  }

  drop(): this {
    this.bytes.push(0x1a)
    return this
  }

  encode(): number[] {
    const body: number[] = []
    unsigned(body, this.locals.length)
    for (const type of this.locals) body.push(1, type)
    const out: number[] = []
    unsigned(out, body.length + this.bytes.length + 1)
    return out.concat(body, this.bytes, 0x0b)
  }
}

interface Import {
  readonly module: string
  readonly name: string
  readonly params: readonly ValueType[]
  readonly results: readonly ValueType[]
}

/** A module that imports one memory as `env.memory`; imports must be declared before functions. */
export class Module {
  private readonly imports: Import[] = []
  private readonly funcs: { readonly name: string | null; readonly func: Func }[] = []
  private readonly shared: boolean
  private readonly maximum: number

  /** `maximum` pages must not be less than the memory's own maximum. */
  constructor(options: { readonly shared: boolean; readonly maximum: number }) {
    this.shared = options.shared
    this.maximum = options.maximum
  }

  /** Declares a host function and returns its index for `call`. */
  import(module: string, name: string, params: readonly ValueType[], results: readonly ValueType[]): number {
    if (this.funcs.length > 0) throw new Error('declare imports before functions')
    return this.imports.push({ module, name, params, results }) - 1
  }

  /** Starts a function; a name exports it. */
  func(name: string | null, params: readonly ValueType[], results: readonly ValueType[] = []): Func {
    const func = new Func(this.imports.length + this.funcs.length, params, results)
    this.funcs.push({ name, func })
    return func
  }

  /** The binary module. */
  encode(): Uint8Array<ArrayBuffer> {
    const out: number[] = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]
    const section = (id: number, count: number, content: number[]): void => {
      const head: number[] = []
      unsigned(head, count)
      out.push(id)
      unsigned(out, head.length + content.length)
      for (const b of head) out.push(b)
      for (const b of content) out.push(b)
    }
    const signature = (f: { params: readonly number[]; results: readonly number[] }): number[] => {
      return [0x60, f.params.length, ...f.params, f.results.length, ...f.results]
    }
    const text = (s: string): number[] => [s.length, ...new TextEncoder().encode(s)]
    const leb = (n: number): number[] => {
      const bytes: number[] = []
      unsigned(bytes, n)
      return bytes
    }
    const all = [...this.imports, ...this.funcs.map((f) => f.func)]
    section(1, all.length, all.flatMap(signature))
    const memory = [...text('env'), ...text('memory'), 2, this.shared ? 3 : 1, 1, ...leb(this.maximum)]
    const imports = this.imports.flatMap((f, i) => [...text(f.module), ...text(f.name), 0, ...leb(i)])
    section(2, 1 + this.imports.length, [...memory, ...imports])
    section(
      3,
      this.funcs.length,
      this.funcs.flatMap((_, i) => leb(this.imports.length + i)),
    )
    const exported = this.funcs.filter((f) => f.name !== null)
    section(
      7,
      exported.length,
      exported.flatMap((f) => [...text(f.name!), 0, ...leb(f.func.index)]),
    )
    const code: number[] = []
    for (const f of this.funcs) for (const b of f.func.encode()) code.push(b)
    section(10, this.funcs.length, code)
    return new Uint8Array(out)
  }
}
