import CLinux

/// Why the kernel refused a program.
struct LoadFailure: Error, Equatable, Sendable {
    /// EPERM: CAP_BPF and CAP_NET_ADMIN are needed. EOPNOTSUPP: the kernel is older than 5.14, and cannot migrate
    /// connections by a program. EACCES or EINVAL: the verifier refuses it, see `log`.
    let errno: Errno
    /// The output of the kernel's verifier, many lines; empty if the program did not get that far.
    let log: ByteString
}

/// bpf(2) with BPF_PROG_LOAD: a program that selects listeners, also for connections whose listener has closed
/// (BPF_PROG_TYPE_SK_REUSEPORT, to be attached as BPF_SK_REUSEPORT_SELECT_OR_MIGRATE, Linux 5.14).
func loadProgram(_ instructions: [Instruction], name: ByteString) throws(LoadFailure) -> Descriptor {
    var code: [UInt64] = []
    code.reserveCapacity(instructions.count)
    for instruction in instructions { code.append(instruction.encoded) }

    do throws(Errno) {
        var noLog: [CChar] = []
        return try load(code, name, log: &noLog)
    } catch {
        // Tries again with a log, which costs too much time to be written when all is well.
        var log = [CChar](repeating: 0, count: 1 << 16)
        do throws(Errno) { return try load(code, name, log: &log) } catch {}
        log[log.count - 1] = 0
        let words = log.withUnsafeBufferPointer { ByteString(cString: $0.baseAddress!) }
        throw LoadFailure(errno: reason(error, words), log: words)
    }
}

private func load(_ code: [UInt64], _ name: ByteString, log: inout [CChar]) throws(Errno) -> Descriptor {
    // BPF_SK_REUSEPORT_SELECT_OR_MIGRATE is missing in older headers.
    let selectOrMigrate: UInt32 = 40
    let license: ByteString = "MIT"
    let logSize = UInt32(log.count)
    let number = license.withCString { license in
        name.withCString { name in
            log.withUnsafeMutableBufferPointer { log in
                clinux_bpf_load_program(
                    BPF_PROG_TYPE_SK_REUSEPORT.rawValue, selectOrMigrate, code, UInt32(code.count), license, name,
                    log.baseAddress, logSize)
            }
        }
    }
    return Descriptor(owning: try checked(number))
}

/// Recognizes kernels before 5.14 by the verifier's complaint about the context's field for migration, because they
/// ignore the attach type.
private func reason(_ errno: Errno, _ log: ByteString) -> Errno {
    let isOld = (0..<log.count).contains { log.hasBytes("invalid bpf_context access", at: $0) }
    return isOld ? Errno(rawValue: EOPNOTSUPP) : errno
}
