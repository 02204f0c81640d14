/// Writes eBPF programs: each kind of instruction is a function, jumps go to labels.
///
/// Arithmetic is on 64 bits, comparisons are unsigned. Opcodes are those of the kernel's `linux/bpf.h` and
/// `linux/bpf_common.h`.
struct Assembler {
    /// A place in the program that jumps go to, before or after it is placed.
    struct Label: Sendable {
        fileprivate let number: Int
    }

    /// A wrong use of labels.
    enum Mistake: Error, Equatable, Sendable {
        /// A jump goes to a label that was never placed.
        case labelNotPlaced(Int)
        case labelPlacedTwice(Int)
        /// A label was placed behind the last instruction, where a jump cannot go.
        case labelAtEnd(Int)
        /// The distance does not fit into 16 bits.
        case jumpTooFar(from: Int, to: Int)
    }

    enum Width: UInt8, Sendable {
        case half = 0x08
        case word = 0x00
        case double = 0x18
    }

    enum Condition: UInt8, Sendable {
        case equal = 0x10
        case greater = 0x20
        case greaterOrEqual = 0x30
        case notEqual = 0x50
        case less = 0xA0
    }

    /// A function of the kernel that a selection program may call.
    enum Helper: Int32, Sendable {
        /// `r0` = a random number of 32 bits.
        case getRandom = 7
        /// `r0` = the number of the processor this runs on.
        case getProcessor = 8
        /// Copies bytes of the packet to the stack; `r0` = 0 if they are there.
        /// `r1` context, `r2` offset, `r3` destination, `r4` length, `r5` 1: from the network header.
        case loadBytesRelative = 68
        /// Selects the listener in a slot; `r0` = 0 if there is one. `r1` context, `r2` map, `r3` address of the slot
        /// number, `r4` 0.
        case selectListener = 82
    }

    private var instructions: [Instruction] = []
    private var jumps: [(at: Int, label: Int)] = []
    private var places: [Int?] = []
    private var placedTwice: Int?

    // MARK: Registers

    mutating func copy(_ source: Register, to destination: Register) {
        emit(0xBF, destination, source)
    }

    /// Copies the lower 32 bits; the upper ones become 0.
    mutating func copyWord(_ source: Register, to destination: Register) {
        emit(0xBC, destination, source)
    }

    mutating func set(_ destination: Register, to value: Int32) {
        emit(0xB7, destination, immediate: value)
    }

    /// Sets all 64 bits; takes two instructions.
    mutating func setWide(_ destination: Register, to value: UInt64) {
        emitWide(
            destination, kind: 0, Int32(truncatingIfNeeded: value), Int32(truncatingIfNeeded: value >> 32))
    }

    /// Loads the map that `descriptor` has open, in the form that helpers take; takes two instructions.
    mutating func setMap(_ destination: Register, to descriptor: Int32) {
        emitWide(destination, kind: 1, descriptor, 0)
    }

    /// Loads the address of the first value of the array map that `descriptor` has open; takes two instructions, and
    /// Linux 5.2.
    mutating func setMapValue(_ destination: Register, of descriptor: Int32) {
        emitWide(destination, kind: 2, descriptor, 0)
    }

    // MARK: Memory

    mutating func load(_ width: Width, _ destination: Register, from base: Register, _ offset: Int16 = 0) {
        emit(0x61 | width.rawValue, destination, base, offset)
    }

    mutating func store(_ width: Width, _ source: Register, to base: Register, _ offset: Int16) {
        emit(0x63 | width.rawValue, base, source, offset)
    }

    mutating func store(_ width: Width, value: Int32, to base: Register, _ offset: Int16) {
        emit(0x62 | width.rawValue, base, offset: offset, immediate: value)
    }

    // MARK: Arithmetic

    mutating func add(_ value: Int32, to destination: Register) { emit(0x07, destination, immediate: value) }
    mutating func add(_ source: Register, to destination: Register) { emit(0x0F, destination, source) }
    mutating func subtract(_ source: Register, from destination: Register) { emit(0x1F, destination, source) }
    mutating func multiply(_ destination: Register, by source: Register) { emit(0x2F, destination, source) }
    /// The remainder; a divisor of 0 leaves `destination` as it is.
    mutating func remainder(_ destination: Register, by source: Register) { emit(0x9F, destination, source) }
    mutating func and(_ destination: Register, _ value: Int32) { emit(0x57, destination, immediate: value) }
    mutating func xor(_ destination: Register, _ value: Int32) { emit(0xA7, destination, immediate: value) }
    mutating func xor(_ destination: Register, _ source: Register) { emit(0xAF, destination, source) }
    mutating func shiftRight(_ destination: Register, _ bits: Int32) { emit(0x77, destination, immediate: bits) }

    /// Converts 16, 32 or 64 bits from network byte order to the host's, or back; the bits above them become 0.
    mutating func swapNetwork(_ destination: Register, bits: Int32) { emit(0xDC, destination, immediate: bits) }

    // MARK: Control

    mutating func label() -> Label {
        places.append(nil)
        return Label(number: places.count - 1)
    }

    /// Lets jumps to `label` go to the next instruction.
    @inline(never)
    mutating func place(_ label: Label) {
        if places[label.number] != nil { placedTwice = label.number }
        places[label.number] = instructions.count
    }

    mutating func jump(to label: Label) {
        jumps.append((instructions.count, label.number))
        instructions.append(Instruction(opcode: 0x05))
    }

    mutating func jump(to label: Label, if left: Register, _ condition: Condition, _ right: Int32) {
        jumps.append((instructions.count, label.number))
        emit(0x05 | condition.rawValue, left, immediate: right)
    }

    mutating func jump(to label: Label, if left: Register, _ condition: Condition, _ right: Register) {
        jumps.append((instructions.count, label.number))
        emit(0x0D | condition.rawValue, left, right)
    }

    mutating func call(_ helper: Helper) {
        instructions.append(Instruction(opcode: 0x85, immediate: helper.rawValue))
    }

    mutating func exit() { instructions.append(Instruction(opcode: 0x95)) }

    /// Returns the program, with the distance to its label filled in to each jump.
    func assembled() throws(Mistake) -> [Instruction] {
        if let placedTwice { throw .labelPlacedTwice(placedTwice) }
        var result = instructions
        for (at, label) in jumps {
            guard let place = places[label] else { throw .labelNotPlaced(label) }
            guard place < result.count else { throw .labelAtEnd(label) }
            guard let offset = Int16(exactly: place - at - 1) else { throw .jumpTooFar(from: at, to: place) }
            result[at].offset = offset
        }
        return result
    }

    private mutating func emit(
        _ opcode: UInt8, _ destination: Register, _ source: Register = .r0, _ offset: Int16 = 0
    ) {
        instructions.append(
            Instruction(opcode: opcode, destination: destination.rawValue, source: source.rawValue, offset: offset))
    }

    private mutating func emit(
        _ opcode: UInt8, _ destination: Register, offset: Int16 = 0, immediate: Int32
    ) {
        instructions.append(
            Instruction(opcode: opcode, destination: destination.rawValue, offset: offset, immediate: immediate))
    }

    /// `kind` says what the lower half is: 0 a number, 1 a map, 2 the address of a map's value.
    private mutating func emitWide(_ destination: Register, kind: UInt8, _ lower: Int32, _ upper: Int32) {
        instructions.append(
            Instruction(opcode: 0x18, destination: destination.rawValue, source: kind, immediate: lower))
        instructions.append(Instruction(opcode: 0, immediate: upper))
    }
}
