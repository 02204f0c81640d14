import Foundation
import Testing

@testable import ReusePortKit

/// The pages in docs/, and all other Markdown.
@Suite struct PageTests {
    private static let root = Tool.package

    /// Files below a folder of the package, by their path in it.
    private static func files(_ folder: String, _ suffix: String) -> [String] {
        let paths = FileManager.default.enumerator(atPath: "\(root)/\(folder)")?.compactMap { $0 as? String } ?? []
        return paths.filter { $0.hasSuffix(suffix) && !"/\($0)".contains("/.") }.map { "\(folder)/\($0)" }.sorted()
    }

    static let pages =
        ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).filter { $0.hasSuffix(".md") }.sorted()
        + files("docs", ".md") + files("examples", ".md") + files("Sources/ReusePortKit/ReusePortKit.docc", ".md")

    // MARK: - Text

    private struct Line {
        let number: Int
        let text: Substring
        /// The language of the fenced block in which it stands; nil outside of one.
        let block: Substring?
    }

    /// Lines with what they are; those that begin and end blocks are left out.
    private func lines(_ path: String) throws -> [Line] {
        var block: Substring?
        var result: [Line] = []
        for (index, text) in try document(path).split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if text.hasPrefix("```") {
                block = block == nil ? text.dropFirst(3) : nil
            } else {
                result.append(Line(number: index + 1, text: text, block: block))
            }
        }
        return result
    }

    /// What stands between two marks, each time.
    private func pieces(_ text: Substring, from start: String, to end: String) -> [Substring] {
        var rest = text
        var result: [Substring] = []
        while let from = rest.range(of: start), let to = rest[from.upperBound...].range(of: end) {
            result.append(rest[from.upperBound..<to.lowerBound])
            rest = rest[to.upperBound...]
        }
        return result
    }

    private func withoutCode(_ text: Substring) -> Substring {
        Substring(
            text.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 0 }
                .map(\.element).joined())
    }

    // MARK: - Tests that are named

    /// Each function that is a test, as `Suite.function`.
    private static let tests: Set<String> = {
        var result: Set<String> = []
        for path in files("Tests/ReusePortKitTests", ".swift") {
            var suite = ""
            var isTest = false
            let text = (try? String(contentsOfFile: "\(root)/\(path)", encoding: .utf8)) ?? ""
            for line in text.split(separator: "\n") {
                if line.contains("@Test") { isTest = true }
                for word in ["struct ", "class ", "extension "] where !line.hasPrefix(" ") {
                    guard let range = line.range(of: word) else { continue }
                    suite = String(line[range.upperBound...].prefix { $0.isLetter || $0.isNumber })
                }
                guard isTest, let range = line.range(of: "func ") else { continue }
                result.insert("\(suite).\(line[range.upperBound...].prefix { $0.isLetter || $0.isNumber })")
                isTest = false
            }
        }
        return result
    }()

    /// What a line names in `<!-- Suite.function, Suite.function -->`.
    private func named(_ line: Line) -> [String] {
        pieces(line.text, from: "<!-- ", to: " -->").filter { !$0.hasPrefix("file: ") }
            .flatMap { $0.split(separator: ",") }.map { $0.trimmingCharacters(in: .whitespaces) }
    }

    @Test(arguments: pages.filter { $0.hasPrefix("docs/from-") }) func rowsAreTested(page: String) throws {
        let rows = try lines(page).filter { $0.text.hasPrefix("| ") }.dropFirst(2)
        #expect((5...15).contains(rows.count), "\(rows.count) rows")
        for row in rows { #expect(!named(row).isEmpty, "\(page):\(row.number) names no test") }
    }

    @Test(arguments: pages) func namedTestsExist(page: String) throws {
        for line in try lines(page) where line.block == nil {
            for name in named(line) {
                let isThere = Self.tests.contains(name)
                #expect(isThere, "\(page):\(line.number): \(name)")
            }
        }
    }

    // MARK: - Links

    /// As GitHub makes them of headings.
    private func anchors(_ path: String) throws -> Set<String> {
        var result: Set<String> = []
        for line in try lines(path) where line.block == nil && line.text.hasPrefix("#") {
            let words = line.text.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces).lowercased()
            result.insert(
                String(words.filter { $0.isLetter || $0.isNumber || "-_ ".contains($0) }.map { $0 == " " ? "-" : $0 }))
        }
        return result
    }

    @Test(arguments: pages) func links(page: String) throws {
        let folder = page.split(separator: "/").dropLast().map { "\($0)/" }.joined()
        for line in try lines(page) where line.block == nil {
            for link in pieces(withoutCode(line.text), from: "](", to: ")") where !link.hasPrefix("https://") {
                let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
                let target = parts[0].isEmpty ? page : "\(folder)\(parts[0])"
                let isThere = FileManager.default.fileExists(atPath: "\(Self.root)/\(target)")
                #expect(isThere, "\(page):\(line.number): \(link)")
                if isThere, parts.count > 1 {
                    let anchors = try anchors(target)
                    #expect(anchors.contains(String(parts[1])), "\(page):\(line.number): \(link)")
                }
            }
        }
    }

    @Test(arguments: pages) func linesOfProse(page: String) throws {
        for line in try lines(page) where !line.text.hasPrefix("|") {
            #expect(line.text.count <= 120, "\(page):\(line.number) has \(line.text.count) columns")
        }
    }

    /// A block below `<!-- file: PATH -->` is a part of that file, which tests run.
    @Test(arguments: pages) func blocksAreParts(page: String) throws {
        let text = try document(page)
        for part in text.components(separatedBy: "<!-- file: ").dropFirst() {
            let path = String(part.prefix { $0 != " " })
            let pieces = part.components(separatedBy: "```")
            try #require(pieces.count > 2, "\(page): \(path) has no block")
            let block = pieces[1].drop { $0 != "\n" }.dropFirst()
            let isPart = try document(path).contains(block)
            #expect(isPart, "\(page): a block is not in \(path):\n\(block)")
        }
    }

    // MARK: - Commands

    /// What begins with the program's name: as code in a line, and in blocks for the shell.
    private func commands(_ page: String) throws -> [String] {
        var result: [String] = []
        var unfinished = ""
        for line in try lines(page) {
            if let block = line.block {
                guard block == "sh" else { continue }
                unfinished += line.text
                if unfinished.hasSuffix("\\") {
                    unfinished.removeLast()
                    continue
                }
                result.append(unfinished)
                unfinished = ""
            } else {
                result += pieces(line.text, from: "`", to: "`").map(String.init)
            }
        }
        // Those with an ellipsis are not meant to be typed.
        return result.filter { $0.hasPrefix("reuseport-exec ") && !$0.contains("...") && !$0.contains("…") }
    }

    /// What is written there is taken: plans are made, and verbs find no such app.
    @Test(arguments: pages) func commandsAreTaken(page: String) throws {
        let box = Sandbox()
        box.write(
            "web.conf", "socket: http:127.0.0.1:8080\ncommand: /bin/true\n")
        let wrapper = box.makeDirectory("wrapper")
        box.write(
            "\(wrapper)/reuseport-exec",
            Array(
                """
                #!/bin/sh
                real='\(try box.launcher())'
                case $1 in
                deploy | start) verb=$1; shift; exec "$real" "$verb" --dry-run "$@" ;;
                help | version | --help | --version) exec "$real" "$@" ;;
                -*) exec "$real" --dry-run "$@" ;;
                *) exec "$real" "$@" ;;
                esac

                """.utf8), mode: 0o755)
        for written in try commands(page) {
            // This host's names instead of those that are meant as examples.
            var command = written.components(separatedBy: " #")[0]
            for (pattern, name) in [
                ("--user [^ ]+", "--user nobody"), ("owner=[a-z-]+", "owner=nobody"), ("group=[a-z-]+", "group=daemon"),
                ("bind-dev=[a-z0-9]+", "bind-dev=lo"), ("--config [^ ]*/", "--config "),
            ] { command = command.replacingOccurrences(of: pattern, with: name, options: .regularExpression) }
            let isVerb = !command.contains(" -- ") && !command.contains("--config")
            if isVerb && !command.contains(#/ (--help|help|version)\b/#) { command += " --run-dir \(box["run"])" }
            let outcome = try box.start(
                program: "/bin/sh", ["-c", "cd \(ByteString(box.path)) && exec \(ByteString(command))"],
                environment: ["PATH=\(wrapper):/usr/bin:/bin"]
            ).end()
            let isTaken =
                outcome.exit == 0 || isVerb && outcome.exit == 1
                // There is nothing that it could do again.
                || outcome.errors.contains("no command was given, and it is not registered")
                || command.hasPrefix("reuseport-exec migrate web -- ") && outcome.errors.contains("it has no socket")
            #expect(isTaken, "\(page): \(written): \(outcome.errors)")
        }
    }
}
