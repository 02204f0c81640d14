import Foundation
import Testing

/// CONTRIBUTING.md speaks of the sources as they are.
@Suite struct ContributingTests {
    private static let sources = "Sources/ReusePortKit"
    /// Where the page means its paths to be.
    private static let folders = ["", "\(sources)/", "Tests/ReusePortKitTests/"]

    /// What stands between backticks, outside of blocks, and is the path of a file or folder.
    private func paths(_ text: String) -> [String] {
        let prose = text.components(separatedBy: "```").enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        let spans = prose.joined().components(separatedBy: "`").enumerated().filter { $0.offset % 2 == 1 }.map(
            \.element)
        let suffixes = [".swift", ".c", ".h", ".md", ".sh", ".1", ".bash", ".fish", "/"]
        return spans.filter { span in
            !span.contains(" ") && !span.hasPrefix("/") && !span.hasPrefix(".build")
                && (suffixes.contains { span.hasSuffix($0) }
                    || ["Sources", "Tests"].contains { span.hasPrefix("\($0)/") })
        }
    }

    private func missing(_ text: String) -> [String] {
        paths(text).filter { path in
            !Self.folders.contains { FileManager.default.fileExists(atPath: "\(Tool.package)/\($0)\(path)") }
        }
    }

    @Test func namedFilesExist() throws {
        let text = try document("CONTRIBUTING.md")
        #expect(paths(text).count > 50)
        #expect(missing(text) == [])
    }

    /// The check above can fail.
    @Test func otherFilesAreMissed() {
        let text =
            "`Handoff/Coordinator.swift` `Handoff/Conductor.swift` `Sources/none`\n```sh\n`a.sh`\n```\n`x.swift y`"
        #expect(missing(text) == ["Handoff/Conductor.swift", "Sources/none"])
    }

    /// A suite or function in backticks is one of the tests.
    @Test func namedSuitesExist() throws {
        let spans = try document("CONTRIBUTING.md").components(separatedBy: "`").enumerated()
            .filter { $0.offset % 2 == 1 }.map(\.element)
        let suites = spans.filter { $0.hasSuffix("Tests") && !$0.contains("/") && !$0.contains(" ") }
        #expect(!suites.isEmpty)
        let all =
            FileManager.default.enumerator(atPath: "\(Tool.package)/Tests/ReusePortKitTests")?
            .compactMap { $0 as? String } ?? []
        for suite in suites {
            let isThere = all.contains { $0.hasSuffix("/\(suite).swift") }
            #expect(isThere, "\(suite)")
        }
    }

    /// The table of layers is the list of scripts/layers.sh.
    @Test func layersAreThoseOfTheScript() throws {
        let script = try document("scripts/layers.sh").components(separatedBy: "layers='\n")[1].prefix { $0 != "'" }
        var proved: [String: [String]] = [:]
        for line in script.split(separator: "\n") {
            let parts = line.split(separator: ":", omittingEmptySubsequences: false)
            proved[String(parts[0])] = parts[1].split(separator: " ").map(String.init)
        }
        var written: [String: [String]] = [:]
        for line in try document("CONTRIBUTING.md").split(separator: "\n") where line.hasPrefix("| `") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count == 4 else { continue }
            written[cells[0].filter(\.isLetter)] = cells[2].split(separator: " ").map { $0.filter(\.isLetter) }
                .filter { !$0.isEmpty }
        }
        #expect(written == proved)
    }

    /// The way from deploy to the end of the old generation has as many changes of layer as it says, and few.
    @Test func wayChangesLayersAsSaid() throws {
        let page = try document("CONTRIBUTING.md")
        let text = page.components(separatedBy: "\n## From deploy")[1].components(separatedBy: "\n## ")[0]
        var layers: [Substring] = []
        for line in text.split(separator: "\n") {
            let parts = line.drop { $0.isNumber }
            guard parts.count < line.count, parts.hasPrefix(". `") else { continue }
            layers.append(parts.dropFirst(3).prefix { $0 != "/" })
        }
        let changes = zip(layers, layers.dropFirst()).count { $0 != $1 }
        #expect(text.contains("changes layers \(changes) times"), "\(changes)")
        #expect(layers.count > 20)
        #expect(changes <= 15)
    }
}
