import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// What the program can do is written down wherever a user looks for it.
@Suite struct DocumentTests {
    private static let completions = [
        "completions/reuseport-exec.bash", "completions/_reuseport-exec", "completions/reuseport-exec.fish",
    ]

    /// The same as words, so that `--copy` is not found in `--copy-all`.
    private func words(of text: String) -> Set<String> {
        Set(text.split { !$0.isLetter && !$0.isNumber && $0 != "-" }.map(String.init))
    }

    private func string(_ text: ByteString) -> String { String(decoding: text.bytes, as: UTF8.self) }

    /// The lines of the sections of this title, in all pages of the manual.
    private func section(_ title: String) throws -> [Substring] {
        let sections = try manual().components(separatedBy: "\n.Sh ").filter { $0.hasPrefix("\(title)\n") }
        try #require(!sections.isEmpty, "the manual has no section \(title)")
        return sections.flatMap { $0.split(separator: "\n").dropFirst() }
    }

    /// Every row of the table is an item of the manual, with a value if it takes one, and every item is a row.
    @Test func optionsInManual() throws {
        let items = try section("OPTIONS").filter { $0.hasPrefix(".It Fl -") }.map { $0.dropFirst(8) }
        for option in Option.all where !option.places.isEmpty {
            let name = string(option.text.dropFirst(2))
            let item = items.first { $0 == name || $0.hasPrefix("\(name) ") }
            let takesValue = item.map { $0.contains(" Ar ") || $0.contains(" Cm ") }
            #expect(item != nil, "\(option.name)")
            #expect(takesValue == (option.value != nil), "\(option.name)")
        }
        for item in items {
            let name = ByteString("--" + String(item.prefix { $0 != " " }))
            #expect(Option.named(name).map { $0.text == name && !$0.places.isEmpty } == true, "\(item)")
        }
    }

    /// Every option of a verb stands in its item of the manual, or is said to go with all, and every option that stands
    /// there is one of its row.
    @Test func optionsOfVerbsInManual() throws {
        var items: [(names: [String], options: Set<String>)] = []
        for line in try section("VERBS") where line.hasPrefix(".It Ic ") || line.hasPrefix(".Op Fl -") {
            if line.hasPrefix(".It Ic ") {
                let words = line.split(separator: "Ic ").dropFirst().map { String($0.prefix { $0 != " " }) }
                items.append((words, []))
            }
            for part in line.components(separatedBy: "Fl -").dropFirst() {
                items[items.count - 1].options.insert("--\(part.prefix { $0 != " " })")
            }
        }
        for row in VerbRow.all where row.verb != .deploy {
            let item = try #require(items.first { $0.names.contains(string(row.verb.name)) }, "\(row.verb)")
            // These stand above the items, with the verbs that take them.
            let above: [Option.Key] = VerbRow.common + [.debug]
            let taken = Option.all.filter { row.takes($0) && !above.contains($0.key) }.map { string($0.text) }
            #expect(item.options == Set(taken), "\(row.verb)")
        }
    }

    @Test(arguments: completions) func optionsInCompletion(path: String) throws {
        let text = try document(path)
        let words = words(of: text)
        for option in Option.all {
            // fish writes them as `-l socket`.
            let isThere =
                path.hasSuffix(".fish")
                ? text.contains("-l \(string(option.text.dropFirst(2))) ") : words.contains("\(option.name)")
            #expect(isThere, "\(option.name) in \(path)")
        }
    }

    @Test func optionsInHelp() {
        let pages = Option.Topic.allCases.map { words(of: string(help($0))) }
        for option in Option.all {
            #expect(pages.contains { $0.contains("\(option.name)") }, "\(option.name)")
        }
    }

    @Test(arguments: ["README.md"] + completions) func dialects(path: String) throws {
        let words = words(of: try document(path))
        for dialect in Dialect.allCases {
            let isThere = words.contains(string(dialect.name))
            #expect(isThere, "\(dialect) in \(path)")
        }
    }

    @Test func dialectsInManualAndHelp() throws {
        let manual = try manual().split(separator: "\n")
        let page = words(of: string(help(.dialects)))
        for dialect in Dialect.allCases {
            let isInManual = manual.contains(".It Cm \(string(dialect.name))")
            #expect(isInManual, "\(dialect)")
            #expect(page.contains(string(dialect.name)), "\(dialect)")
        }
    }

    @Test func verbs() throws {
        let items = try manual().split(separator: "\n").filter { $0.hasPrefix(".It Ic ") }
        let inManual = Set(items.flatMap { $0.split(separator: "Ic ").dropFirst().map { $0.prefix { $0 != " " } } })
        let page = words(of: string(help(nil)))
        for name in VerbRow.all.flatMap({ $0.names }).map(string) {
            #expect(inManual.contains(Substring(name)), "\(name)")
            #expect(page.contains(name), "\(name)")
            for path in Self.completions { #expect(words(of: try document(path)).contains(name), "\(name) in \(path)") }
        }
        for row in VerbRow.all where row.verb != .deploy {
            let own = words(of: string(help(nil, row.verb)))
            #expect(own.isSuperset(of: row.names.map(string)), "\(row.verb)")
            for option in Option.all where row.takes(option) {
                #expect(own.contains(string(option.text)), "\(option.name) of \(row.verb)")
            }
        }
    }

    /// Every way to say what the parser takes is in the manual, on the help page and offered by completions.
    @Test func readinessSteeringAndBalance() throws {
        let readiness = ["accept", "http", "https", "notify", "ipc", "ack", "fd", "exec", "none"]
        let values = ["accept", "http:a:/", "https:a:/", "notify", "ipc", "ack", "fd:9", "exec:true", "none"]
        for (form, value) in zip(readiness, values) {
            _ = try parseReadiness(ByteString(value))
            #expect(throws: Malformed.self) { try parseReadiness("\(ByteString(form))x") }
        }
        let choices =
            readiness + SteeringChoice.allCases.map { string($0.name) }
            + ([.random, .clientIP, .cpu, .hash] as [Balance]).map { string($0.name) }
        let items = try manual().split(separator: "\n").filter { $0.hasPrefix(".It Cm ") }
        let inManual = Set(items.map { $0.dropFirst(7).prefix { $0 != " " } })
        let page = words(of: string(help(.apps)))
        for choice in choices {
            #expect(inManual.contains(Substring(choice)), "\(choice)")
            #expect(page.contains(choice), "\(choice)")
            for path in Self.completions {
                #expect(words(of: try document(path)).contains(choice), "\(choice) in \(path)")
            }
        }
    }

    @Test func topics() throws {
        let manual = words(of: try manual())
        let overview = words(of: string(help(nil)))
        for topic in Option.Topic.allCases {
            #expect(manual.contains(string(topic.name)) && overview.contains(string(topic.name)), "\(topic)")
            for path in Self.completions {
                #expect(words(of: try document(path)).contains(string(topic.name)), "\(topic) in \(path)")
            }
        }
    }

    @Test func socketOptionsAndFileFlags() throws {
        let items = try manual().split(separator: "\n").filter { $0.hasPrefix(".It Cm ") }
        // Several may share an item: `.It Cm owner Ns = Ns Ar USER , Cm group Ns = Ns Ar GROUP`.
        let names = Set(items.flatMap { $0.split(separator: "Cm ").dropFirst().map { $0.prefix { $0 != " " } } })
        for option in socketOptions { #expect(names.contains(Substring(string(option))), "\(option)") }
        for flag in fileFlags {
            #expect(names.contains(Substring(string(flag))), "\(flag)")
        }
        let bash = words(of: try document("completions/reuseport-exec.bash"))
        for option in socketOptions { #expect(bash.contains(string(option)), "\(option)") }
    }

    @Test func exitCodes() throws {
        let manual = try manual()
        for code in [.negative, .usage, .system, .notExecutable, .notFound] as [Failure.Code] {
            let isThere = manual.contains("\n.It \(code.rawValue)\n")
            #expect(isThere, "\(code)")
        }
    }

    /// `version` is the one place; the Makefile and the packages read it there.
    @Test func oneVersion() throws {
        let number = string(version)
        let newest = try document("CHANGELOG.md").split(separator: "\n").first { $0.hasPrefix("## ") }
        #expect(try #require(newest).hasPrefix("## \(number) ("))
        #expect(try document("README.md").contains("Version \(number), "))
        for page in manualPages {
            #expect(try document(page).contains("\n.Os reuseport-exec \(number)\n"), "\(page)")
        }
    }

    /// `.Xr reuseport-exec 7` is a page, and has the section in `READINESS in`, which stands in the line before.
    @Test func pagesNameEachOther() throws {
        for page in manualPages {
            var before: Substring = ""
            for line in try document(page).split(separator: "\n") {
                defer { before = line }
                guard line.hasPrefix(".Xr reuseport-") else { continue }
                let words = line.split(separator: " ")
                let named = "man/\(words[1]).\(words[2])"
                try #require(manualPages.contains(named), "\(page): \(line)")
                let title = before.replacingOccurrences(of: "\\(dq", with: "").dropLast(3)
                guard before.hasSuffix(" in"), title == title.uppercased() || before.contains("\\(dq") else { continue }
                let text = try document(named)
                #expect(text.contains("\n.Sh \(title)\n") || text.contains("\n.Ss \(title)\n"), "\(page): \(title)")
            }
        }
    }

    /// What a reader wants first is not below the details.
    @Test func examplesStandAtTheTop() throws {
        for page in manualPages {
            let titles = try document(page).split(separator: "\n").filter { $0.hasPrefix(".Sh ") }
            let place = titles.firstIndex { $0.hasPrefix(".Sh EXAMPLES") }
            #expect(place.map { $0 <= 3 } == true, "\(page): \(titles)")
        }
    }

    @Test func helpFitsAScreen() {
        let pages = Option.Topic.allCases.map { help($0) } + VerbRow.all.map { help(nil, $0.verb) }
        for page in ([help(nil), help(.retire, .retire)] + pages).map(string) {
            #expect(page.hasSuffix("\n"))
            let lines = page.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            // One line is for the prompt that follows.
            #expect(lines.count < 24 && lines.allSatisfy { $0.count <= 80 }, "\(page)")
        }
    }
}
