/// Copies that are about to be started together: looked up and checked, with nothing changed yet.
struct PreparedDeploy {
    var request: AppRequest
    /// Which copies of the generation they are.
    var numbers: [Int]
    var options: DeployOptions
    var plan: Plan
    var deployment: Deployment
}

extension PreparedDeploy {
    /// Starts the copies, and returns when they serve and the generation that they replace is retired.
    ///
    /// `holdsTurn`: the caller has `deploy.lock`.
    func start(holdsTurn: Bool = false, _ report: Reporter) throws(Failure) {
        if let target = options.supervision {
            try deployServices(self, on: target, holdsTurn: holdsTurn, report)
        } else {
            try deployCopies(self, report)
        }
    }
}

extension Deployment {
    /// The same for a generation that has its id and label by now.
    func of(_ generation: GenerationRecord) -> Deployment {
        var deployment = self
        (deployment.generation, deployment.label) = (generation.id, generation.label)
        return deployment
    }
}
