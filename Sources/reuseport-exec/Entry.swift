import CLinux
import ReusePortKit

/// The linker's name for `main`: the package manager renames the entry point of executables on Linux, and argv is
/// taken here as C has it, because `CommandLine.arguments` mends bytes that are not UTF-8.
@c(reuseport_exec_main)
public func entry(argc: Int32, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Int32 {
    // The program's own name is the first; a caller can leave even that out.
    let arguments = (0..<Int(argc)).dropFirst().compactMap { argv[$0].map { ByteString(cString: $0) } }
    do throws(Failure) {
        try run(arguments)
        return 0
    } catch {
        printFailure(error)
        return error.code.rawValue
    }
}
