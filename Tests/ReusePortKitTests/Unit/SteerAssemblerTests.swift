import Testing

@testable import ReusePortKit

@Suite struct SteerAssemblerTests {
    /// The bytes are those that the kernel's own documentation and disassembler have for each instruction.
    static let encodings: [(name: String, write: @Sendable (inout Assembler) -> Void, words: [UInt64])] = [
        ("r6 = r1", { $0.copy(.r1, to: .r6) }, [0x0000_0000_0000_16BF]),
        ("w8 = w0", { $0.copyWord(.r0, to: .r8) }, [0x0000_0000_0000_08BC]),
        ("r4 = -2", { $0.set(.r4, to: -2) }, [0xFFFF_FFFE_0000_04B7]),
        (
            "r1 = wide", { $0.setWide(.r1, to: 0x1122_3344_99AA_BBCC) },
            [0x99AA_BBCC_0000_0118, 0x1122_3344_0000_0000]
        ),
        ("r2 = map 9", { $0.setMap(.r2, to: 9) }, [0x0000_0009_0000_1218, 0]),
        ("r1 = value of map 9", { $0.setMapValue(.r1, of: 9) }, [0x0000_0009_0000_2118, 0]),
        ("r1 = *(u16 *)r1", { $0.load(.half, .r1, from: .r1) }, [0x0000_0000_0000_1169]),
        ("r1 = *(u32 *)(r6 + 20)", { $0.load(.word, .r1, from: .r6, 20) }, [0x0000_0000_0014_6161]),
        ("r1 = *(u64 *)(r10 - 16)", { $0.load(.double, .r1, from: .r10, -16) }, [0x0000_0000_FFF0_A179]),
        ("*(u32 *)(r10 - 4) = r8", { $0.store(.word, .r8, to: .r10, -4) }, [0x0000_0000_FFFC_8A63]),
        ("*(u64 *)(r10 - 8) = r1", { $0.store(.double, .r1, to: .r10, -8) }, [0x0000_0000_FFF8_1A7B]),
        ("*(u32 *)(r10 - 8) = 1", { $0.store(.word, value: 1, to: .r10, -8) }, [0x0000_0001_FFF8_0A62]),
        ("r3 += -4", { $0.add(-4, to: .r3) }, [0xFFFF_FFFC_0000_0307]),
        ("r8 += r9", { $0.add(.r9, to: .r8) }, [0x0000_0000_0000_980F]),
        ("r8 -= r7", { $0.subtract(.r7, from: .r8) }, [0x0000_0000_0000_781F]),
        ("r8 *= r7", { $0.multiply(.r8, by: .r7) }, [0x0000_0000_0000_782F]),
        ("r8 %= r7", { $0.remainder(.r8, by: .r7) }, [0x0000_0000_0000_789F]),
        ("r1 &= 4095", { $0.and(.r1, 4095) }, [0x0000_0FFF_0000_0157]),
        ("r9 ^= 256", { $0.xor(.r9, 256) }, [0x0000_0100_0000_09A7]),
        ("r8 ^= r2", { $0.xor(.r8, .r2) }, [0x0000_0000_0000_28AF]),
        ("r9 >>= 4", { $0.shiftRight(.r9, 4) }, [0x0000_0004_0000_0977]),
        ("r1 = be16 r1", { $0.swapNetwork(.r1, bits: 16) }, [0x0000_0010_0000_01DC]),
        ("r8 = be64 r8", { $0.swapNetwork(.r8, bits: 64) }, [0x0000_0040_0000_08DC]),
        ("call 82", { $0.call(.selectListener) }, [0x0000_0052_0000_0085]),
        ("exit", { $0.exit() }, [0x0000_0000_0000_0095]),
    ]

    @Test(arguments: encodings.indices)
    func encoding(index: Int) throws {
        let (name, write, words) = Self.encodings[index]
        var code = Assembler()
        write(&code)
        #expect(try code.assembled().map(\.encoded) == words, "\(name)")
    }

    @Test func jumpsCountFromTheNextInstruction() throws {
        var code = Assembler()
        let back = code.label()
        let forward = code.label()
        code.place(back)
        code.jump(to: forward)
        code.jump(to: forward, if: .r1, .notEqual, 5)
        code.jump(to: back, if: .r1, .less, .r2)
        code.place(forward)
        code.exit()
        #expect(
            try code.assembled().map(\.encoded) == [
                0x0000_0000_0002_0005, 0x0000_0005_0001_0155, 0x0000_0000_FFFD_21AD, 0x95,
            ])
    }

    @Test func wideInstructionsCountTwiceForJumps() throws {
        var code = Assembler()
        let end = code.label()
        code.jump(to: end)
        code.setWide(.r1, to: 1)
        code.place(end)
        code.exit()
        #expect(try code.assembled()[0].offset == 2)
    }

    @Test func mistakesAreFound() {
        var nowhere = Assembler()
        nowhere.jump(to: nowhere.label())
        #expect(throws: Assembler.Mistake.labelNotPlaced(0)) { try nowhere.assembled() }

        var twice = Assembler()
        let label = twice.label()
        twice.place(label)
        twice.exit()
        twice.place(label)
        twice.exit()
        #expect(throws: Assembler.Mistake.labelPlacedTwice(0)) { try twice.assembled() }

        var atEnd = Assembler()
        let end = atEnd.label()
        atEnd.jump(to: end)
        atEnd.place(end)
        #expect(throws: Assembler.Mistake.labelAtEnd(0)) { try atEnd.assembled() }

        var far = Assembler()
        let distant = far.label()
        far.jump(to: distant)
        for _ in 0..<32768 { far.exit() }
        far.place(distant)
        far.exit()
        #expect(throws: Assembler.Mistake.jumpTooFar(from: 0, to: 32769)) { try far.assembled() }
    }

    /// Few enough to be read, and far from any verifier's limit.
    @Test(arguments: [Balance.random, .hash, .cpu, .clientIP])
    func theProgramStaysSmall(balance: Balance) throws {
        let count = try TwoBankProgram.instructions(balance: balance, selector: 3, slots: 4).count
        #expect(count <= 210)
    }
}
