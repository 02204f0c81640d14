/// A register of the eBPF machine.
///
/// `r0` takes results, `r1` to `r5` are arguments and lost by a call, `r6` to `r9` survive calls, `r10` is the end of
/// the stack frame and read-only.
enum Register: UInt8, Sendable {
    case r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10
}

/// One instruction of the eBPF machine, or half of one that loads 64 bits.
struct Instruction: Equatable, Sendable {
    var opcode: UInt8
    var destination: UInt8 = 0
    var source: UInt8 = 0
    var offset: Int16 = 0
    var immediate: Int32 = 0

    /// The eight bytes of `struct bpf_insn` as a little-endian number: Swift supports no big-endian Linux.
    var encoded: UInt64 {
        UInt64(opcode)
            | UInt64(destination) << 8
            | UInt64(source) << 12
            | UInt64(UInt16(bitPattern: offset)) << 16
            | UInt64(UInt32(bitPattern: immediate)) << 32
    }
}
