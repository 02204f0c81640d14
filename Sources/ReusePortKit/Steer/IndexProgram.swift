import CLinux

/// Level 2: a classic BPF program that directs the connections of a group to a run of its members. Needs no privilege.
///
/// The members' order is the kernel's: they join at listen(2) (UDP: bind(2)) in that order, and when one leaves, the
/// last one takes its place. So the program has to be made anew after each change. An index at or beyond the number of
/// members makes the kernel choose by its hash among all of them. Connections that lost their listener are not
/// directed: without net.ipv4.tcp_migrate_req they are reset, with it the kernel chooses.
struct IndexProgram: Equatable, Sendable {
    /// The place of the first member that gets connections.
    let base: UInt32
    /// How many get them: 1…65535.
    let count: UInt32
    let balance: Balance

    /// Nil if there is no group in which such a run could be; the largest has 65535 members.
    init?(base: UInt32, count: UInt32, balance: Balance) {
        guard base <= 65535, count > 0, count <= 65535 - base else { return nil }
        self.base = base
        self.count = count
        self.balance = balance
    }

    /// From now on this program steers the whole group of `listener`. EINVAL: it is a TCP socket and not listening.
    func attach(to listener: borrowing Descriptor) throws(Errno) { try attachFilter(code, to: listener) }

    /// The same, but connections from `probePort` of 127.0.0.1 or ::1 go to the member at `probePlace` alone.
    func attach(to listener: borrowing Descriptor, probePort: UInt16, probePlace: UInt32) throws(Errno) {
        try attachFilter(probing(port: probePort, place: probePlace) + code, to: listener)
    }

    /// Returns `place` if the packet is a probe, and goes on with what follows if not.
    private func probing(port: UInt16, place: UInt32) -> [sock_filter] {
        let ipv6: [sock_filter] = [
            load(networkHeader + 8), load(networkHeader + 12), load(networkHeader + 16), load(networkHeader + 20),
        ]
        var code: [sock_filter] = []
        // ::1 is three words of 0 and one of 1; each word that differs skips the rest of this part.
        for (index, word) in ipv6.enumerated() {
            code.append(word)
            code.append(unless(equal: index == 3 ? 1 : 0, skip: 2 * (3 - index) + 3))
        }
        // The source port, behind a header without extensions.
        code.append(operate(Opcode.loadHalf, networkHeader + 40))
        code.append(unless(equal: UInt32(port), skip: 1))
        code.append(operate(Opcode.returnValue, place))
        let ipv4: [sock_filter] = [
            load(networkHeader + 12),
            unless(equal: 0x7F00_0001, skip: 4),
            operate(Opcode.loadHeaderLengthToX, networkHeader),
            operate(Opcode.loadHalfBehindX, networkHeader),
            unless(equal: UInt32(port), skip: 1),
            operate(Opcode.returnValue, place),
        ]
        return [load(Ancillary.etherType), unless(equal: 0x86DD, skip: code.count + 1)] + code
            + [sock_filter(code: Opcode.jump, jt: 0, jf: 0, k: UInt32(ipv4.count))] + ipv4
    }

    /// The program for classic BPF's two registers, A and X.
    var code: [sock_filter] {
        var code: [sock_filter] = []
        if count == 1 {
            code.append(operate(Opcode.loadValue, 0))  // the only one
        } else {
            switch balance {
            case .random:
                code.append(load(Ancillary.random))
                code += scaling
            case .cpu:
                code.append(load(Ancillary.processor))
                code.append(operate(Opcode.remainder, count))  // neighbouring processors, neighbouring members
            case .clientIP, .hash:
                code += source
                code.append(operate(Opcode.multiply, 0x9E37_79B1))  // 2³² / golden ratio: spreads close addresses
                code += scaling
            }
        }
        code.append(operate(Opcode.add, base))
        code.append(operate(Opcode.returnA, 0))
        return code
    }

    /// A = A as a fraction of the count, by its upper 16 bits: the lower ones of a product are the worse ones.
    private var scaling: [sock_filter] {
        [
            operate(Opcode.shiftRight, 16),
            operate(Opcode.multiply, count),
            operate(Opcode.shiftRight, 16),
        ]
    }

    /// A = a word made of where the packet came from. What is neither IPv4 nor IPv6 cannot come here.
    private var source: [sock_filter] {
        let ipv6 = sources(first: 8, words: 4, portsWithoutOptions: 40)
        let ipv4 = sources(first: 12, words: 1, portsWithoutOptions: nil)
        var code = [load(Ancillary.etherType)]  // of what was received, not the listener's family
        code.append(  // unless A = IPv6, skip its part and the jump behind it
            sock_filter(code: Opcode.jumpIfEqual, jt: 0, jf: UInt8(ipv6.count + 1), k: 0x86DD))
        code += ipv6
        code.append(sock_filter(code: Opcode.jump, jt: 0, jf: 0, k: UInt32(ipv4.count)))
        code += ipv4
        return code
    }

    /// A = the words of the source address, one over the other, and for `hash` the word with both ports as well.
    /// `portsWithoutOptions` is where they are in IPv6, provided that there is no extension header; in IPv4 the header
    /// says where it ends.
    private func sources(first: UInt32, words: UInt32, portsWithoutOptions: UInt32?) -> [sock_filter] {
        var code = [load(networkHeader + first)]
        for word in 1..<max(words, 1) {
            code.append(operate(Opcode.copyToX, 0))
            code.append(load(networkHeader + first + 4 * word))
            code.append(operate(Opcode.xorX, 0))
        }
        guard balance == .hash else { return code }
        if let portsWithoutOptions {
            code.append(operate(Opcode.copyToX, 0))
            code.append(load(networkHeader + portsWithoutOptions))
            code.append(operate(Opcode.xorX, 0))
        } else {
            code.append(operate(Opcode.storeScratch, 0))
            code.append(operate(Opcode.loadHeaderLengthToX, networkHeader))  // X = length of the IPv4 header
            code.append(operate(Opcode.loadBehindX, networkHeader))  // A = the ports
            code.append(operate(Opcode.loadScratchToX, 0))
            code.append(operate(Opcode.xorX, 0))
        }
        return code
    }
}

/// SKF_NET_OFF: an offset from here on is one from the network header.
private let networkHeader = UInt32(bitPattern: -0x100000)

/// SKF_AD_OFF and what is there: what the kernel knows of the packet.
private enum Ancillary {
    private static let start = UInt32(bitPattern: -0x1000)
    static let etherType = start
    static let processor = start + 36
    static let random = start + 56
}

/// Opcodes of `linux/filter.h` and `linux/bpf_common.h`.
private enum Opcode {
    /// A = the constant
    static let loadValue: UInt16 = 0x00
    /// A = word at the constant
    static let load: UInt16 = 0x20
    /// A = word at X and the constant
    static let loadBehindX: UInt16 = 0x40
    /// X = four times the lower half of the byte at the constant
    static let loadHeaderLengthToX: UInt16 = 0xB1
    /// The scratch memory has 16 words.
    static let storeScratch: UInt16 = 0x02
    static let loadScratchToX: UInt16 = 0x61
    /// A = half word at the constant
    static let loadHalf: UInt16 = 0x28
    static let loadHalfBehindX: UInt16 = 0x48
    static let returnValue: UInt16 = 0x06
    static let copyToX: UInt16 = 0x07
    static let add: UInt16 = 0x04
    static let multiply: UInt16 = 0x24
    static let shiftRight: UInt16 = 0x74
    static let remainder: UInt16 = 0x94
    static let xorX: UInt16 = 0xAC
    static let jump: UInt16 = 0x05
    static let jumpIfEqual: UInt16 = 0x15
    static let returnA: UInt16 = 0x16
}

/// Goes on behind the next `skip` instructions unless A is the value.
private func unless(equal value: UInt32, skip: Int) -> sock_filter {
    sock_filter(code: Opcode.jumpIfEqual, jt: 0, jf: UInt8(skip), k: value)
}

private func load(_ offset: UInt32) -> sock_filter { operate(Opcode.load, offset) }

private func operate(_ opcode: UInt16, _ value: UInt32) -> sock_filter {
    sock_filter(code: opcode, jt: 0, jf: 0, k: value)
}
