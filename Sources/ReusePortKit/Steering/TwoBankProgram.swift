/// The eBPF program that directs the connections of one socket to one of two generations, as the app's selector
/// says. Needs CAP_BPF and CAP_NET_ADMIN, and Linux 5.14.
///
/// It chooses a listener for each new connection, and for each whose listener closed before it was accepted:
///  - A probe goes to the slot that is kept for it. It is refused if the slot is empty, rather than answered by
///    another.
///  - The canary share of the others goes to the next bank, all else to the live one. Connections that lost their
///    listener always go to the live one. (A probe that has lost its listener is recognized only while it is half-open.
///    Callers must check that the copy is alive after its answer.)
///  - Within its bank the balance says where to start. If the slot is empty, the next seven are tried.
///  - If all were empty, or the count is 0, the kernel chooses by its hash among all listeners of the group. If the
///    live generation has crashed, a new one may get a connection so before it is ready, and the connection waits
///    there.
///
/// IPv4 and IPv6, sockets of both families at once, TCP and UDP.
struct TwoBankProgram: ~Copyable, Sendable {
    /// The name that the kernel lists.
    static let name: ByteString = "rpx_two_banks"

    let descriptor: Descriptor

    /// Loads the program, which keeps the maps open.
    init(
        balance: Balance, selector: borrowing SelectorMap, slots: borrowing SlotsMap
    ) throws(LoadFailure) {
        let instructions: [Instruction]
        do throws(Assembler.Mistake) {
            instructions = try TwoBankProgram.instructions(
                balance: balance, selector: selector.map.descriptor.number, slots: slots.map.descriptor.number)
        } catch {
            throw LoadFailure(errno: .invalid, log: "a label is missing")
        }
        descriptor = try loadProgram(instructions, name: TwoBankProgram.name)
    }

    /// Lets this program steer the whole group of `listener`. EINVAL: it is a TCP socket and not listening.
    borrowing func attach(to listener: borrowing Descriptor) throws(Errno) {
        try attachProgram(descriptor, to: listener)
    }
}

/// Offsets of the fields of `struct sk_reuseport_md`.
private enum Context {
    static let data: Int16 = 0
    static let dataEnd: Int16 = 8
    static let etherType: Int16 = 20
    static let hash: Int16 = 32
    static let migratingSocket: Int16 = 48
}

/// Offsets from the end of the stack frame.
private enum Stack {
    /// The number of the slot to try, 4 bytes.
    static let slot: Int16 = -4
    /// The answer if all slots are empty, 4 bytes.
    static let verdict: Int16 = -8
    /// The client's address, 16 bytes; an IPv4 address uses the first four.
    static let address: Int16 = -24
}

/// `enum sk_action`
private enum Verdict {
    static let drop: Int32 = 0
    static let pass: Int32 = 1
}

private enum EtherType {
    static let ipv4 = Int32(UInt16(0x0800).bigEndian)
    static let ipv6 = Int32(UInt16(0x86DD).bigEndian)
}

extension TwoBankProgram {
    /// How many slots are tried before the kernel chooses.
    static let attempts = 8

    /// Factors that spread numbers which are close together, or evenly apart, evenly over all 64 bits. The first is 2⁶⁴
    /// divided by the golden ratio. The network part has another, so that equal halves of an address do not cancel each
    /// other.
    private static let spread: UInt64 = 0x9E37_79B9_7F4A_7C15
    private static let spreadNetwork: UInt64 = 0xC2B2_AE3D_27D4_EB4F

    // Registers that survive calls.
    private static let context = Register.r6
    /// The selector's word; then the number of slots in use in the chosen bank.
    private static let word = Register.r7
    /// 32 bits that decide; then the slot to try.
    private static let pick = Register.r8
    /// The first slot of the chosen bank; then the one behind the last in use.
    private static let bank = Register.r9

    static func instructions(
        balance: Balance, selector: Int32, slots: Int32
    ) throws(Assembler.Mistake) -> [Instruction] {
        var code = Assembler()
        let canary = code.label()
        let live = code.label()
        let selected = code.label()
        let nobody = code.label()

        code.copy(.r1, to: context)  // calls overwrite r1
        code.store(.word, value: Verdict.pass, to: .r10, Stack.verdict)  // the kernel chooses, if we find nobody
        code.setMapValue(.r1, of: selector)  // where the selector's word is
        code.load(.double, word, from: .r1)  // all of it at once: it may change at any time
        writePick(&code, balance)

        code.copy(word, to: bank)  // the live bank is bit 12,
        code.shiftRight(bank, 4)  // its first slot is 256 times that
        code.and(bank, Int32(Bank.size))  // nothing else

        writeProbe(&code, slots: slots, orElse: canary, selected: selected, nobody: nobody)

        code.place(canary)
        writeCanary(&code, orElse: live)

        code.place(live)
        code.and(word, 0xFFF)  // the count of the chosen bank
        code.jump(to: nobody, if: word, .equal, 0)  // no generation is there
        writeScaling(&code, balance)
        code.add(bank, to: pick)  // the slot to start with
        code.add(word, to: bank)  // the slot behind the last one
        writeAttempts(&code, slots: slots, selected: selected)

        code.place(nobody)
        code.load(.word, .r0, from: .r10, Stack.verdict)
        code.and(.r0, 1)  // shows the verifier that it is one of the two
        code.exit()
        code.place(selected)
        code.set(.r0, to: Verdict.pass)
        code.exit()
        return try code.assembled()
    }

    /// Changes `bank` and `word` to the next bank's for the canary's share of the connections, and goes to `orElse`
    /// with all others.
    private static func writeCanary(_ code: inout Assembler, orElse: Assembler.Label) {
        code.copy(word, to: .r1)  // the share of the canary
        code.shiftRight(.r1, 32)
        code.and(.r1, 0xFFFF)
        code.copy(pick, to: .r2)  // by the lower 16 bits of the pick; the upper ones decide on the slot
        code.and(.r2, 0xFFFF)
        code.jump(to: orElse, if: .r2, .greaterOrEqual, .r1)  // most go here, and all if the share is 0
        code.load(.double, .r1, from: context, Context.migratingSocket)  // has this one lost its listener?
        code.jump(to: orElse, if: .r1, .notEqual, 0)  // then no experiments
        code.xor(bank, Int32(Bank.size))  // the other bank
        code.shiftRight(word, 16)  // its count stands 16 bits above that of the live one
    }

    /// Tries the slots from `pick` on, and goes to `selected` from the first that has a listener.
    private static func writeAttempts(_ code: inout Assembler, slots: Int32, selected: Assembler.Label) {
        for attempt in 1...attempts {
            code.store(.word, pick, to: .r10, Stack.slot)  // helpers take keys by address
            writeSelection(&code, slots: slots)
            code.jump(to: selected, if: .r0, .equal, 0)  // else the slot is empty
            guard attempt < attempts else { break }
            let inside = code.label()
            code.add(1, to: pick)  // the neighbour
            code.jump(to: inside, if: pick, .less, bank)
            code.subtract(word, from: pick)  // behind the last comes the first
            code.place(inside)
        }
    }

    /// Leaves 32 bits in `pick`.
    private static func writePick(_ code: inout Assembler, _ balance: Balance) {
        switch balance {
        case .random, .cpu:
            code.call(.getRandom)
            code.copyWord(.r0, to: pick)
        case .hash:
            code.load(.word, pick, from: context, Context.hash)  // the kernel has it computed already
        case .clientIP:
            let ipv6 = code.label()
            let upperHalf = code.label()
            let done = code.label()
            code.call(.getRandom)  // for connections that lost their listener: their packets have gone
            code.copyWord(.r0, to: pick)
            code.load(.word, .r1, from: context, Context.etherType)  // what was received, not the listener's family
            code.jump(to: ipv6, if: .r1, .equal, EtherType.ipv6)
            code.jump(to: done, if: .r1, .notEqual, EtherType.ipv4)
            writeAddress(&code, headerOffset: 12, length: 4, orElse: done)
            writeNumber(&code, pick, .word, Stack.address, times: spread)
            code.jump(to: upperHalf)
            code.place(ipv6)
            writeAddress(&code, headerOffset: 8, length: 16, orElse: done)
            writeNumber(&code, pick, .double, Stack.address, times: spreadNetwork)
            writeNumber(&code, .r2, .double, Stack.address + 8, times: spread)  // the interface
            code.add(.r2, to: pick)
            code.place(upperHalf)
            code.shiftRight(pick, 32)  // it depends on all of the address
            code.place(done)
        }
    }

    /// Leaves a part of the address in a register, multiplied. It is converted to the host's byte order first: then
    /// neighbours differ in the lowest bits, which influence all bits of the product.
    private static func writeNumber(
        _ code: inout Assembler, _ register: Register, _ width: Assembler.Width, _ offset: Int16, times factor: UInt64
    ) {
        code.load(width, register, from: .r10, offset)
        code.swapNetwork(register, bits: width == .word ? 32 : 64)
        code.setWide(.r1, to: factor)
        code.multiply(register, by: .r1)
    }

    /// Makes `pick` a number below the count in `word`.
    private static func writeScaling(_ code: inout Assembler, _ balance: Balance) {
        switch balance {
        case .random, .clientIP, .hash:
            code.multiply(pick, by: word)  // 32 bits as a fraction of the count:
            code.shiftRight(pick, 32)  // quicker than a division
        case .cpu:
            code.call(.getProcessor)
            code.copyWord(.r0, to: pick)
            code.remainder(pick, by: word)  // neighbouring processors, neighbouring slots
        }
    }

    /// Directs a probe to the probe's slot, and goes to `orElse` for all else.
    private static func writeProbe(
        _ code: inout Assembler, slots: Int32, orElse: Assembler.Label, selected: Assembler.Label,
        nobody: Assembler.Label
    ) {
        let ipv6 = code.label()
        let found = code.label()
        code.load(.double, .r1, from: context, Context.data)  // the TCP or UDP header
        code.load(.double, .r2, from: context, Context.dataEnd)
        code.copy(.r1, to: .r3)
        code.add(2, to: .r3)  // it starts with the source port,
        code.jump(to: orElse, if: .r3, .greater, .r2)  // which a connection that lost its listener may not have
        code.load(.half, .r1, from: .r1)
        code.swapNetwork(.r1, bits: 16)
        code.copy(word, to: .r2)
        code.shiftRight(.r2, 48)  // the port of the probe
        code.jump(to: orElse, if: .r1, .notEqual, .r2)  // nearly all

        // Any client may have that port, so the address must be the loopback one.
        code.load(.word, .r1, from: context, Context.etherType)  // IPv4 also for a dual-stack listener
        code.jump(to: ipv6, if: .r1, .equal, EtherType.ipv6)
        code.jump(to: orElse, if: .r1, .notEqual, EtherType.ipv4)
        writeAddress(&code, headerOffset: 12, length: 4, orElse: orElse)
        code.load(.word, .r1, from: .r10, Stack.address)
        code.jump(to: found, if: .r1, .equal, Int32(UInt32(0x7F00_0001).bigEndian))  // 127.0.0.1
        code.jump(to: orElse)
        code.place(ipv6)
        writeAddress(&code, headerOffset: 8, length: 16, orElse: orElse)
        code.load(.double, .r1, from: .r10, Stack.address)
        code.jump(to: orElse, if: .r1, .notEqual, 0)  // ::1 has no network
        code.load(.double, .r1, from: .r10, Stack.address + 8)
        code.setWide(.r2, to: UInt64(1).bigEndian)  // and the interface 1
        code.jump(to: orElse, if: .r1, .notEqual, .r2)
        code.place(found)
        code.store(.word, value: Verdict.drop, to: .r10, Stack.verdict)  // nobody else may answer it
        code.store(.word, value: Int32(Slot.probe.key), to: .r10, Stack.slot)
        writeSelection(&code, slots: slots)
        code.jump(to: selected, if: .r0, .equal, 0)
        code.jump(to: nobody)
    }

    /// Selects the listener in the slot whose number is on the stack; r0 is 0 if there is one.
    private static func writeSelection(_ code: inout Assembler, slots: Int32) {
        code.copy(context, to: .r1)
        code.setMap(.r2, to: slots)
        code.copy(.r10, to: .r3)  // the address of the slot's number
        code.add(Int32(Stack.slot), to: .r3)
        code.set(.r4, to: 0)  // no flags
        code.call(.selectListener)
    }

    /// Copies the source address from the IP header to the stack; goes to `orElse` if there is no such header.
    @inline(never)
    private static func writeAddress(
        _ code: inout Assembler, headerOffset: Int32, length: Int32, orElse: Assembler.Label
    ) {
        code.copy(context, to: .r1)
        code.set(.r2, to: headerOffset)
        code.copy(.r10, to: .r3)  // where it is copied to
        code.add(Int32(Stack.address), to: .r3)
        code.set(.r4, to: length)
        code.set(.r5, to: 1)  // BPF_HDR_START_NET
        code.call(.loadBytesRelative)
        code.jump(to: orElse, if: .r0, .notEqual, 0)
    }
}
