import Foundation
import Testing

/// examples/README.md names all there is, and says of each what its command line says.
@Suite struct ExampleTableTests {
    /// Folders of services for a supervisor: named as a whole, and tested with the supervisors.
    private static let services = ["runit", "s6", "systemd"]

    /// Without what a build in a folder of examples/ leaves.
    private static func files(below folder: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: folder).filter {
            if "/\($0)".contains("/.") || $0.hasSuffix("/Package.resolved") { return false }
            var isFolder: ObjCBool = false
            return FileManager.default.fileExists(atPath: "\(folder)/\($0)", isDirectory: &isFolder)
                && !isFolder.boolValue
        }
    }

    /// Rows of the table, as cells.
    private func rows() throws -> [[String]] {
        try String(contentsOfFile: "\(Example.folder)/README.md", encoding: .utf8).split(separator: "\n")
            .filter { $0.hasPrefix("| ") }
            .map { $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }
    }

    private static func named(in cell: String) -> [String] {
        cell.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }
            .map { String($0.element) }
    }

    @Test func everyFileIsThere() throws {
        let names = Set(try rows().flatMap { $0.count > 1 ? ExampleTableTests.named(in: $0[1]) : [] })
        let tests = "\(Tool.package)/Tests/ReusePortKitTests"
        let sources = try ExampleTableTests.files(below: tests).filter { $0.hasSuffix(".swift") }
            .map { try String(contentsOfFile: "\(tests)/\($0)", encoding: .utf8) }
        let files = try ExampleTableTests.files(below: Example.folder).filter { $0 != "README.md" }
        for file in files {
            let folder = String(file.prefix { $0 != "/" })
            if ExampleTableTests.services.contains(folder) {
                #expect(names.contains("\(folder)/"), "\(file)")
                continue
            }
            #expect(names.contains(file), "\(file) is not in the table")
            // Of a package, the manifest stands for all its files.
            let isPackage = files.contains("\(folder)/Package.swift")
            let named = isPackage ? "\(folder)/Package.swift" : file
            let isTested = sources.contains { $0.contains("\"\(named)\"") || $0.contains("\"examples/\(named)\"") }
            #expect(isTested, "no test names \(file)")
        }
        for name in names {
            #expect(FileManager.default.fileExists(atPath: "\(Example.folder)/\(name)"), "\(name) does not exist")
        }
    }

    @Test func rowsSayWhatTheFilesSay() throws {
        var count = 0
        for row in try rows() where row.count == 6 {
            guard let file = ExampleTableTests.named(in: row[1]).first, !file.hasSuffix("/") else { continue }
            let example = try Example(file)
            #expect(ExampleTableTests.named(in: row[2]).first == example.option("--pass") ?? "systemd", "\(file)")
            #expect(ExampleTableTests.named(in: row[3]).first == example.option("--ready") ?? "accept", "\(file)")
            #expect(ExampleTableTests.named(in: row[4]).first == example.option("--stop-signal") ?? "TERM", "\(file)")
            count += 1
        }
        #expect(count > 20)
    }
}
