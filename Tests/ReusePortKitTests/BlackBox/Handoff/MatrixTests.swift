import Foundation
import Testing

@testable import ReusePortKit

/// The quick cases of `make matrix`: something happens to a generation, and another one takes over from it.
@Suite struct MatrixTests {
    @Test(arguments: [
        "crash ebpf root deploy", "crash cbpf container deploy", "daemonize unix user deploy", "hang cbpf user deploy",
        "hang unix root runit", "re-exec unix user runit", "wrapper ebpf root deploy", "wrapper unix user deploy",
        "wrapper cbpf container runit",
    ])
    func quickCase(_ words: String) throws {
        try Tool.requireRoot()
        for program in ["unshare", "runsv", "sv"] { _ = try Tool.require(program) }
        let box = Sandbox()
        let outcome = try box.start(
            program: try Tool.require("python3"),
            [ByteString("\(Tool.package)/bench/matrix.py"), ByteString(try box.launcher())]
                + words.split(separator: " ").map { ByteString(String($0)) }
        ).end()
        #expect(outcome.exit == 0, "\(outcome.output.text)\(outcome.errors)")
        #expect(outcome.output.text.contains("1 of 1 are right"))
    }
}
