import Testing

@testable import ReusePortKit

@Suite struct SteerLevelTests {
    @Test(.enabled(if: SteerPrivilege.isHeld, SteerPrivilege.reason))
    func withPrivilegeThereAreTwoBanks() throws {
        #expect(steeringLevel() == .twoBanks)
    }

    @Test func withoutPrivilegeThereIsTheIndex() throws {
        let level = try SteerThread.unprivileged { steeringLevel() }
        let obstacle = SteeringObstacle(step: .createMap, errno: .notPermitted)
        #expect(level == .index(whyNotTwoBanks: obstacle))
        #expect(obstacle.description == "create a BPF map: operation not permitted")
    }

    @Test func nothingIsLeftBehind() throws {
        let (before, after) = try SteerThread.withOwnDescriptors { count in
            let before = count()
            _ = steeringLevel()
            return (before, count())
        }
        #expect(before == after)
    }
}
