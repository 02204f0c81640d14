import CLinux
import ReusePortKit

/// Runs the program with C's argv, because `CommandLine.arguments` replaces bytes that are not UTF-8. The package
/// manager gives the entry point of an executable this name.
@c(reuseport_exec_main)
public func entry(argc: Int32, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Int32 {
    // Drops the program's own name, which a caller may leave out.
    let arguments = (0..<Int(argc)).dropFirst().compactMap { argv[$0].map { ByteString(cString: $0) } }
    do throws(Failure) {
        try run(arguments)
        return 0
    } catch {
        printFailure(error)
        return error.code.rawValue
    }
}
