/// Copies that are about to be started together: looked up and checked, with nothing changed yet.
struct PreparedDeploy {
    /// Which generation of which app they make or join, and how it takes over.
    var request: AppRequest
    /// Their numbers in the generation.
    var numbers: [Int]
    /// The supervisor that starts them, if any, and where they write to.
    var options: DeployOptions
    /// The steps of the launcher in each copy before it becomes the program.
    var plan: Plan
    /// The record from which the same can be deployed again.
    var deployment: Deployment
}

extension PreparedDeploy {
    /// Starts the copies, and returns when they serve and the generation that they replace is retired.
    ///
    /// `holdsTurn`: the caller has `deploy.lock` already. Only services need it: until their copies come, nothing in
    /// the registry tells other commands of the new generation.
    func start(holdsTurn: Bool = false, _ report: Reporter) throws(Failure) {
        if let target = options.supervision {
            try deployServices(self, on: target, holdsTurn: holdsTurn, report)
        } else {
            try deployCopies(self, report)
        }
    }
}

extension Deployment {
    /// Adds the generation's id and label, which are not known before its copies are registered.
    func of(_ generation: GenerationRecord) -> Deployment {
        var deployment = self
        (deployment.generation, deployment.label) = (generation.id, generation.label)
        return deployment
    }
}
