import CLinux

/// A classic BPF program that directs the connections of a group to those members that are a generation's
/// copies. Needs no privilege.
///
/// It answers with a member's place in the group. Members join at listen(2) (UDP: bind(2)), and when one leaves, the
/// last one takes its place, so the program has to be made anew after each change. Its table of places lets it choose
/// among copies by their numbers, wherever they stand. If no member has the place, the kernel chooses among all by its
/// hash. Connections whose listener has closed are not directed: without net.ipv4.tcp_migrate_req they are reset, with
/// it the kernel chooses.
struct IndexProgram: Equatable, Sendable {
    /// The place of each copy, by its number; several copies may have the same place.
    let places: [Int]
    let balance: Balance

    /// Nil if there are no copies, or more than a generation can have, or if a place is beyond the 65535 members that a
    /// group can have.
    init?(places: [Int], balance: Balance) {
        guard !places.isEmpty, places.count <= Bank.copies, places.allSatisfy({ $0 >= 0 && $0 < 65535 }) else {
            return nil
        }
        self.places = places
        self.balance = balance
    }

    /// Lets this program steer the whole group of `listener`, but sends connections from the probe's port of 127.0.0.1
    /// or ::1 to its place. EINVAL: it is a TCP socket and not listening.
    @inline(never)
    func attach(to listener: borrowing Descriptor, probe: (port: UInt16, place: Int)? = nil) throws(Errno) {
        let first = probe.map { probing(port: $0.port, place: UInt32($0.place)) } ?? []
        try attachFilter(first + code, to: listener)
    }

    /// Makes code that answers `place` to a probe; other packets go on to the code behind it.
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
        let start = places[0]
        if places.allSatisfy({ $0 == start }) { return [operate(Opcode.returnValue, UInt32(start))] }
        var code: [sock_filter] = []
        switch balance {
        case .random:
            code.append(load(Ancillary.random))
            code += scaling
        case .cpu:
            code.append(load(Ancillary.processor))
            // Neighbouring processors get neighbouring copies.
            code.append(operate(Opcode.remainder, UInt32(places.count)))
        case .clientIP, .hash:
            code += source
            code += scaling
        }
        if places.indices.allSatisfy({ places[$0] == start + $0 }) {
            // The copies stand side by side, as they do if none has been replaced.
            return code + [operate(Opcode.add, UInt32(start)), operate(Opcode.returnA, 0)]
        }
        return code + table(places.indices)
    }

    /// Makes code that answers the place of the copy whose number is in A, by halving the range of numbers. With 255
    /// copies the longest jump skips 253 instructions; a jump can skip 255.
    private func table(_ numbers: Range<Int>) -> [sock_filter] {
        let place = places[numbers.lowerBound]
        if numbers.allSatisfy({ places[$0] == place }) { return [operate(Opcode.returnValue, UInt32(place))] }
        let middle = numbers.lowerBound + numbers.count / 2
        let below = table(numbers.lowerBound..<middle)
        let jump = sock_filter(code: Opcode.jumpIfNotBelow, jt: UInt8(below.count), jf: 0, k: UInt32(middle))
        return [jump] + below + table(middle..<numbers.upperBound)
    }

    /// Scales A to a number below that of copies. Uses A's upper 16 bits, because the lower bits of a product are
    /// spread less evenly.
    private var scaling: [sock_filter] {
        [
            operate(Opcode.shiftRight, 16),
            operate(Opcode.multiply, UInt32(places.count)),
            operate(Opcode.shiftRight, 16),
        ]
    }

    /// Makes a word in A of the packet's source. Packets that are neither IPv4 nor IPv6 cannot come here.
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

    /// Sums up in A the words of the source address, each multiplied, and for `hash` the word with both ports.
    /// `portsWithoutOptions` is the offset of the ports in IPv6 without extension headers; an IPv4 header says where it
    /// ends.
    private func sources(first: UInt32, words: Int, portsWithoutOptions: UInt32?) -> [sock_filter] {
        var code: [sock_filter] = []
        for word in 0..<words {
            if word > 0 { code.append(operate(Opcode.copyToX, 0)) }
            code.append(load(networkHeader + first + 4 * UInt32(word)))
            code.append(operate(Opcode.multiply, spread[spread.count - words + word]))
            if word > 0 { code.append(operate(Opcode.addX, 0)) }
        }
        guard balance == .hash else { return code }
        if let portsWithoutOptions {
            code.append(operate(Opcode.copyToX, 0))
            code.append(load(networkHeader + portsWithoutOptions))
            code.append(operate(Opcode.multiply, spreadPorts))
        } else {
            code.append(operate(Opcode.storeScratch, 0))
            code.append(operate(Opcode.loadHeaderLengthToX, networkHeader))  // X = length of the IPv4 header
            code.append(operate(Opcode.loadBehindX, networkHeader))  // A = the ports
            code.append(operate(Opcode.multiply, spreadPorts))
            code.append(operate(Opcode.loadScratchToX, 0))
        }
        code.append(operate(Opcode.addX, 0))
        return code
    }
}

/// Factors for the words of an IPv6 address; an IPv4 address has the last one, 2³² divided by the golden ratio. Each
/// spreads numbers that are close together evenly over all 32 bits. They differ, so that equal words of an address do
/// not cancel each other.
private let spread: [UInt32] = [0x27D4_EB2F, 0xC2B2_AE3D, 0x85EB_CA77, 0x9E37_79B1]
private let spreadPorts: UInt32 = 0x1656_67B1

/// SKF_NET_OFF: offsets from here on count from the network header.
private let networkHeader = UInt32(bitPattern: -0x100000)

/// SKF_AD_OFF and offsets behind it: what the kernel knows of the packet.
private enum Ancillary {
    private static let start = UInt32(bitPattern: -0x1000)
    static let etherType = start
    static let processor = start + 36
    static let random = start + 56
}

/// Opcodes of `linux/filter.h` and `linux/bpf_common.h`.
private enum Opcode {
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
    static let addX: UInt16 = 0x0C
    static let multiply: UInt16 = 0x24
    static let shiftRight: UInt16 = 0x74
    static let remainder: UInt16 = 0x94
    static let jump: UInt16 = 0x05
    static let jumpIfEqual: UInt16 = 0x15
    static let jumpIfNotBelow: UInt16 = 0x35
    static let returnA: UInt16 = 0x16
}

/// Skips the next `skip` instructions unless A equals the value.
private func unless(equal value: UInt32, skip: Int) -> sock_filter {
    sock_filter(code: Opcode.jumpIfEqual, jt: 0, jf: UInt8(skip), k: value)
}

private func load(_ offset: UInt32) -> sock_filter { operate(Opcode.load, offset) }

private func operate(_ opcode: UInt16, _ value: UInt32) -> sock_filter {
    sock_filter(code: opcode, jt: 0, jf: 0, k: value)
}
