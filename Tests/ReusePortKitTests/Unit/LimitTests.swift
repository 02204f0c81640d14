import Foundation
import Testing

@testable import ReusePortKit

/// What memory limits are made of, without a kernel: sizes, where groups go, what is written to them and read from
/// them.
@Suite struct LimitTests {
    // MARK: - Sizes

    @Test(
        arguments: [
            ("1", 1), ("4096", 4096), ("512K", 512 << 10), ("64M", 64 << 20), ("1G", 1 << 30), ("3T", 3 << 40),
            ("9223372036854775807", UInt64(Int64.max)), ("8388607T", 8_388_607 << 40),
        ] as [(ByteString, UInt64)])
    func size(text: ByteString, bytes: UInt64) throws {
        #expect(try parseMemorySize(text) == bytes)
        #expect(try parseMemorySize(memorySize(bytes)) == bytes)
    }

    @Test(
        arguments: [
            "", "M", "0", "0M", "-1", "+1", " 1", "1 ", "1.5G", "64MB", "64Mi", "64m", "1P", "0x10", "max", "infinity",
            "9223372036854775808", "8388608T", "18446744073709551616",
        ] as [ByteString])
    func noSize(text: ByteString) {
        #expect(throws: Malformed.self) { try parseMemorySize(text) }
    }

    @Test func shownAsWritten() {
        #expect(memorySize(64 << 20) == "64M")
        #expect(memorySize(1536 << 20) == "1536M")
        #expect(memorySize(1000) == "1000")
        #expect(memorySize(1 << 50) == "1024T")
    }

    @Test(
        arguments: [
            (["--memory-high", "2M", "--memory-max", "1M"], "--memory-high 2M"),
            (["--memory-max", "2G", "--app-memory-max", "1G"], "--memory-max 2G"),
            (["--memory-high", "2K", "--app-memory-max", "1K"], "--memory-high 2K"),
        ] as [([ByteString], ByteString)])
    func nonsense(words: [ByteString], object: ByteString) throws {
        let failure = try #require(throws: Failure.self) { try options(["--app", "web"] + words) }
        #expect(failure.code == .usage)
        #expect(failure.object == object)
    }

    @Test func needsApp() throws {
        let failure = try #require(throws: Failure.self) { try options(["--memory-max", "1M"]) }
        #expect(failure.code == .usage)
        #expect(failure.message.text.contains("it goes with --app"))
    }

    @Test func understood() throws {
        let words: [ByteString] = ["--memory-high", "1M", "--memory-max", "2M", "--app-memory-max", "2M"]
        let app = try #require(try options(["--app", "web"] + words))
        #expect(app.memoryHigh == 1 << 20)
        #expect(app.memoryMax == 2 << 20)
        #expect(app.appMemoryMax == 2 << 20)
        #expect(!app.memoryLimits.isEmpty)
    }

    private func options(_ words: [ByteString]) throws -> AppRequest? {
        guard case .exec(let options) = try parseArguments(words + ["true"]) else { return nil }
        return options.app
    }

    // MARK: - Where

    private static let mounts = """
        23 1 254:0 / / rw,relatime - ext4 /dev/vda rw
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
        37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
        \("")
        """

    @Test func versionOneWhereTwoHasNone() throws {
        let host = try Host(LimitTests.mounts, groups: "5:freezer:/\n4:memory:/a/b\n0::/c\n")
        host.write("/sys/fs/cgroup/unified/cgroup.controllers", "hugetlb\n")
        let hierarchy = try host.groups.hierarchy()
        #expect(hierarchy == .init(version: .first, mount: "/sys/fs/cgroup/memory", own: "/a/b"))
        host.makeDirectory("/sys/fs/cgroup/memory/a/b")
        #expect(try host.groups.placeForGroups(hierarchy!) == "/sys/fs/cgroup/memory/a/b")
    }

    @Test func versionTwoFirst() throws {
        let host = try Host(LimitTests.mounts, groups: "4:memory:/a/b\n0::/c:d/e\n")
        host.write("/sys/fs/cgroup/unified/cgroup.controllers", "cpu memory pids\n")
        #expect(
            try host.groups.hierarchy()
                == .init(version: .second, mount: "/sys/fs/cgroup/unified", own: "/c:d/e"))
    }

    @Test(
        arguments: [
            // Part of a hierarchy, as in a container.
            ("/docker/1", "/docker/1/web", "/web"), ("/docker/1", "/docker/1", ""), ("/", "/", ""), ("/", "/a", "/a"),
            // A copy of ours starts something.
            ("/", "/a/reuseport-exec.web.1-2/green.0.7", "/a"), ("/", "/reuseport-exec.web.1-2/green.0.7/x", ""),
            // Out of sight.
            ("/docker/1", "/docker/12", nil), ("/docker/1", "/", nil), ("/", "/../../x", nil),
        ] as [(String, String, ByteString?)])
    func own(root: String, path: String, own: ByteString?) throws {
        let host = try Host(
            "41 31 0:38 \(root) /sys/fs/with\\040blank rw - cgroup2 none rw\n", groups: "0::\(path)\n")
        host.write("/sys/fs/with blank/cgroup.controllers", "memory\n")
        #expect(try host.groups.hierarchy()?.own == own)
        if own != nil { #expect(try host.groups.hierarchy()?.mount == "/sys/fs/with blank") }
    }

    @Test func noneAtAll() throws {
        let host = try Host("23 1 254:0 / / rw - ext4 /dev/vda rw\nbroken\n\n1 2 3 - cgroup2\n", groups: "")
        #expect(try host.groups.hierarchy() == nil)
        #expect(!host.groups.contain("/sys/fs/cgroup/x"))
    }

    /// Version 2: a group that has processes hands nothing down, and what an existing one hands down is not changed.
    @Test func nearestThatHandsDown() throws {
        let host = try Host.versionTwo(own: "/system/web/inner")
        host.write("/cg/cgroup.subtree_control", "cpu memory\n")
        host.write("/cg/system/cgroup.subtree_control", "memory pids\n")
        host.write("/cg/system/web/cgroup.subtree_control", "cpu pids\n")
        host.write("/cg/system/web/inner/cgroup.subtree_control", "\n")
        let hierarchy = try #require(try host.groups.hierarchy())
        #expect(try host.groups.placeForGroups(hierarchy) == "/cg/system")
        host.write("/cg/system/cgroup.subtree_control", "pids memory2\n")
        #expect(try host.groups.placeForGroups(hierarchy) == "/cg")
        host.write("/cg/cgroup.subtree_control", "")
        let errno = #expect(throws: Errno.self) { try host.groups.placeForGroups(hierarchy) }
        #expect(errno == .noEntry)
        #expect(host.read("/cg/system/web/cgroup.subtree_control") == "cpu pids\n")
    }

    // MARK: - Making and removing

    @Test func versionTwoGroups() throws {
        let host = try Host.versionTwo(own: "/web")
        host.write("/cg/cgroup.subtree_control", "memory\n")
        let registry = try host.registry("shop")
        let name = try groupName(of: registry)
        #expect(name.hasPrefix("reuseport-exec.shop."))
        // The kernel would make these files.
        for file in ["cgroup.subtree_control", "memory.max"] { host.write("/cg/\(name.text)/\(file)", "") }
        for file in ["memory.max", "memory.high", "cgroup.procs"] {
            host.write("/cg/\(name.text)/green.1.4711/\(file)", "")
        }
        let state = LimitTests.state
        let limits = MemoryLimits(high: 1 << 20, max: 2 << 20, appMax: 1 << 30)
        let group = try #require(
            try state.makeGroup(limits, for: 1, of: "green", under: nil, in: registry, number: 4711, host.groups))
        #expect(group.group == ControlGroup(version: .second, path: "/cg/\(name)/green.1.4711"))
        #expect(state.app.group == ControlGroup(version: .second, path: "/cg/\(name)"))
        let known = registry.loadApp()?.group
        #expect(known == state.app.group)
        #expect(host.read("/cg/\(name.text)/cgroup.subtree_control") == "+memory")
        #expect(host.read("/cg/\(name.text)/memory.max") == "1073741824")
        #expect(host.read("/cg/\(name.text)/green.1.4711/memory.max") == "2097152")
        #expect(host.read("/cg/\(name.text)/green.1.4711/memory.high") == "1048576")
        try joinGroup(group, nil, host.groups)
        #expect(host.read("/cg/\(name.text)/green.1.4711/cgroup.procs") == "0")
        #expect(host.read("/cg/cgroup.subtree_control") == "memory\n")

    }

    /// Without limits a copy has a group all the same, by which all that it starts can be ended. It is below the group of
    /// its command, whatever is handed down, and nobody minds if it cannot be made.
    @Test func withoutLimits() throws {
        let host = try Host.versionTwo(own: "/web")
        let registry = try host.registry("shop")
        let place: ByteString = "/cg/web/\(try groupName(of: registry))"
        let state = LimitTests.state
        func make(under supervisor: ReusePortKit.Supervisor? = nil) throws -> CopyGroup? {
            try state.makeGroup(MemoryLimits(), for: 0, of: "green", under: supervisor, in: registry, host.groups)
        }
        #expect(try make() == nil, "no own group can be seen")
        #expect(registry.loadApp() == nil)
        host.makeDirectory("/cg/web")
        #expect(try make(under: .systemd("web.service")) == nil, "a unit has a group already")
        let group = try #require(try make())
        #expect(group.group.path.text.hasPrefix("\(place.text)/green.0."))
        #expect(!group.isLimited)
        let recorded = try #require(CopyGroup(fields: group.fields))
        #expect(recorded == group && !recorded.isLimited)
        #expect(host.names(place.text) == [lastComponent(of: group.group.path).text])
        #expect(registry.loadApp()?.group?.path == place)
        // A directory that is no group has no cgroup.procs.
        try joinGroup(group, nil, host.groups)
        // And where nobody has limits, a limit finds no place that hands the controller down.
        #expect(throws: Failure.self) {
            try state.makeGroup(
                MemoryLimits(max: 1 << 20), for: 0, of: "green", under: nil, in: registry, host.groups)
        }
    }

    /// Commands in two groups have made groups for the same app.
    @Test func removedInAllPlaces() throws {
        let host = try Host.versionTwo(own: "/web")
        let registry = try host.registry("shop")
        let name = try groupName(of: registry)
        let state = LimitTests.state
        for (number, place) in ["/cg/a", "/cg/b"].enumerated() {
            let path: ByteString = "\(ByteString(place))/\(name)"
            host.makeDirectory("\(path.text)/green.\(number).7")
            state.app.group = ControlGroup(version: .second, path: path)
            let copy = LimitTests.copy
            copy.copy = number
            copy.state = .ended
            copy.group = CopyGroup(
                group: ControlGroup(version: .second, path: "\(path)/green.\(number).7"), max: nil, appMax: nil)
            state.replace(copy)
        }
        let isForgotten = state.removeUnusedGroups(registry, host.groups)
        #expect(isForgotten)
        #expect(host.names("/cg/a").isEmpty && host.names("/cg/b").isEmpty)
    }

    /// Why no group is made for a copy, and what the registry knows of one afterwards.
    private func refusal(_ host: Host) throws -> (Failure?, AppRecord?) {
        let registry = try host.registry("shop")
        let state = LimitTests.state
        do throws(Failure) {
            _ = try state.makeGroup(
                MemoryLimits(max: 1 << 20), for: 0, of: "green", under: nil, in: registry, host.groups)
        } catch {
            return (error, registry.loadApp())
        }
        return (nil, registry.loadApp())
    }

    /// Without a group in its place that could be written: nothing stays.
    @Test func failureLeavesNothing() throws {
        let host = try Host.versionTwo(own: "/web")
        host.write("/cg/cgroup.subtree_control", "memory\n")
        // Directories that are no groups have no cgroup.subtree_control.
        let (failure, known) = try refusal(host)
        #expect(failure?.message.text.contains("unable to make group /cg/reuseport-exec.shop.") == true)
        #expect(host.names("/cg").sorted() == ["cgroup.controllers", "cgroup.subtree_control"])
        #expect(known == nil)
    }

    @Test func nothingHandsDown() throws {
        let host = try Host.versionTwo(own: "")
        let (failure, known) = try refusal(host)
        #expect(failure?.code == .system)
        #expect(failure?.message.text.contains("hands the memory controller down; run it as root") == true)
        #expect(known == nil)
    }

    /// What the registry says is removed only if it is ours, and nothing in it that is not.
    @Test func onlyOwnNamesAreRemoved() throws {
        let host = try Host.versionTwo(own: "/web")
        let registry = try host.registry("shop")
        let name = try groupName(of: registry).text
        for path in [
            "/cg/\(name)/a.0.1", "/cg/\(name)/a.0.2", "/cg/\(name)/mine", "/cg/other/a.0.1", "/x/\(name)/a.0.1",
        ] {
            host.makeDirectory(path)
        }
        let state = LimitTests.state
        for path in ["/cg/other", "/x/\(name)", "/cg/../x/\(name)", "/cg/gone"] {
            state.app.group = ControlGroup(version: .second, path: ByteString(path))
            let isForgotten1 = state.removeUnusedGroups(registry, host.groups)
            #expect(isForgotten1, "it is forgotten")
        }
        #expect(host.names("/cg/other") == ["a.0.1"])
        #expect(host.names("/x/\(name)") == ["a.0.1"])
        let place = ControlGroup(version: .second, path: "/cg/\(ByteString(name))")
        state.app.group = place
        let copy = LimitTests.copy
        copy.group = CopyGroup(
            group: ControlGroup(version: .second, path: "\(place.path)/a.0.2"), max: nil, appMax: nil)
        state.replace(copy)
        let isForgotten2 = state.removeUnusedGroups(registry, host.groups)
        #expect(!isForgotten2)
        #expect(host.names("/cg/\(name)").sorted() == ["a.0.2", "mine"])
        copy.state = .ended
        state.replace(copy)
        let isForgotten3 = state.removeUnusedGroups(registry, host.groups)
        #expect(!isForgotten3, "somebody else's group is in it")
        #expect(host.names("/cg/\(name)") == ["mine"])
        rmdir("\(host.path)/cg/\(name)/mine")
        let isForgotten4 = state.removeUnusedGroups(registry, host.groups)
        #expect(isForgotten4)
        #expect(!host.names("/cg").contains(name))
    }

    // MARK: - Why

    @Test(
        arguments: [
            ("oom 2\noom_kill 1\n", "oom 0\n", "it went beyond --memory-max 2M"),
            ("oom 0\noom_kill 1\n", "oom 3\n", "all copies went beyond --app-memory-max 1G"),
            ("oom 2\noom_kill 1\n", "oom 3\n", "it went beyond --memory-max 2M"),
            ("oom 0\noom_kill 1\n", "oom 0\n", "memory ran out"),
            ("oom 2\noom_kill 0\n", "oom 3\n", nil), ("", "oom 3\n", nil),
        ] as [(String, String, String?)])
    func reasonOfVersionTwo(own: String, app: String, reason: String?) throws {
        let host = try Host.versionTwo(own: "/web")
        host.write("/cg/app/a.0.1/memory.events", own)
        host.write("/cg/app/a.0.1/memory.events.local", own)
        // What is below counts here as well.
        host.write("/cg/app/memory.events", "oom 9\noom_kill 9\n")
        host.write("/cg/app/memory.events.local", app)
        let copy = LimitTests.copy
        copy.group = CopyGroup(
            group: ControlGroup(version: .second, path: "/cg/app/a.0.1"), max: 2 << 20, appMax: 1 << 30)
        let expected = reason.map { ByteString("killed by the kernel: \($0)") }
        #expect(outOfMemory(of: copy, in: host.groups)?.description == expected)
        #expect(outOfMemory(of: copy, end: .killed(9), in: host.groups)?.description == expected)
        #expect(outOfMemory(of: copy, end: .killed(11), in: host.groups)?.description == nil)
        #expect(outOfMemory(of: copy, end: .exited(1), in: host.groups)?.description == nil)
    }

    @Test(
        arguments: [
            ("112\n", "0\n", "it went beyond --memory-max 2M"),
            ("0\n", "185\n", "all copies went beyond --app-memory-max 1G"),
            ("112\n", "185\n", "it went beyond --memory-max 2M, or all copies went beyond --app-memory-max 1G"),
        ] as [(String, String, String)])
    func reasonOfVersionOne(own: String, app: String, reason: String) throws {
        let host = try Host("", groups: "")
        host.write("/m/app/a.0.1/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
        host.write("/m/app/a.0.1/memory.failcnt", own)
        host.write("/m/app/memory.failcnt", app)
        let copy = LimitTests.copy
        copy.group = CopyGroup(
            group: ControlGroup(version: .first, path: "/m/app/a.0.1"), max: 2 << 20, appMax: 1 << 30)
        #expect(outOfMemory(of: copy, in: host.groups)?.description == ByteString("killed by the kernel: \(reason)"))
        copy.group = nil
        #expect(outOfMemory(of: copy, in: host.groups)?.description == nil)
    }

    // MARK: - The registry

    @Test func recorded() throws {
        let app = LimitTests.state.app
        #expect(!app.text.text.contains("group="))
        #expect(AppRecord(text: app.text) == app)
        app.group = ControlGroup(version: .first, path: "/a b/c")
        #expect(AppRecord(text: app.text) == app)
        let copy = LimitTests.copy
        #expect(!copy.text.text.contains("group="))
        #expect(CopyRecord(text: copy.text) == copy)
        for (max, appMax) in [(nil, nil), (1, nil), (nil, 2), (1, 2)] as [(UInt64?, UInt64?)] {
            copy.group = CopyGroup(group: ControlGroup(version: .second, path: "/a b/c"), max: max, appMax: appMax)
            #expect(CopyRecord(text: copy.text) == copy)
        }
        for damage in ["3 /a - -", "1 a - -", "1 /a%00b - -", "1 /a", "-"] {
            let text = copy.text.text.replacingOccurrences(of: "group=2 /a%20b/c 1 2", with: "group=\(damage)")
            #expect(text != copy.text.text)
            let read = try #require(CopyRecord(text: ByteString(text)))
            #expect(read.group == nil, "\(damage)")
        }
    }

    private static var copy: CopyRecord {
        CopyRecord(
            generation: 1, copy: 0, process: ProcessIdentity(pid: 4711, startTime: 1), state: .live, since: 1,
            listeners: [], stopSignal: 15, stopTimeout: .seconds(1))
    }

    private static var state: AppState {
        let app = AppRecord()
        app.generations = [
            GenerationRecord(id: 1, label: "green", copies: 2, bank: .first, state: .live, since: 1)
        ]
        return AppState(app: app, copies: [])
    }
}

/// A root directory with what is asked of /proc and /sys in it.
private final class Host {
    let path = makeFolder(prefix: "reuseport-exec-host")
    var groups: ControlGroups { ControlGroups(root: ByteString(path)) }

    init(_ mounts: String, groups: String) throws {
        write("/proc/self/mountinfo", mounts)
        write("/proc/self/cgroup", groups)
    }

    deinit { removeTree(path) }

    static func versionTwo(own: String) throws -> Host {
        let host = try Host("41 31 0:38 / /cg rw - cgroup2 none rw\n", groups: "0::\(own.isEmpty ? "/" : own)\n")
        host.write("/cg/cgroup.controllers", "cpu memory\n")
        return host
    }

    func makeDirectory(_ name: String) {
        try? FileManager.default.createDirectory(atPath: path + name, withIntermediateDirectories: true)
    }

    func write(_ name: String, _ text: String) {
        makeDirectory(String(name[..<name.lastIndex(of: "/")!]))
        _ = FileManager.default.createFile(atPath: path + name, contents: Data(text.utf8))
    }

    func read(_ name: String) -> String? { try? String(contentsOfFile: path + name, encoding: .utf8) }

    func names(_ name: String) -> [String] { (try? FileManager.default.contentsOfDirectory(atPath: path + name)) ?? [] }

    func registry(_ app: ByteString) throws -> Registry {
        try Registry.open(app, in: "\(path)/run", create: true)!
    }
}
