package main

const (
	limitPackage       = "internal/ratelimit"
	credentialsPackage = "internal/awsconfig"
	loggingPackage     = "internal/logging"
)

// budgetMutations break the calls of AWS: their budget, their credentials and the log of their failures.
var budgetMutations = []mutation{
	{
		name:  "css-retries-uncharged",
		bug:   "The SDK's retries take no token of the API budget.",
		fixed: "7a3c173",
		edits: []edit{{limitPackage + "/ecs.go", `"Retry", middleware.After)`, `"Retry", middleware.Before)`}},
		by:    test(limitPackage, "TestECS_TakesATokenForEveryAttempt"),
	},
	{
		name:  "css-budget-fixed",
		bug:   "The rate of calls does not fall when AWS throttles them.",
		fixed: "7a3c173",
		edits: []edit{{limitPackage + "/ecs.go", "	if isThrottled(err) {", "	if isThrottled(err) && limiter == nil {"}},
		by:    test(limitPackage, "TestECS_SlowsDownWhenAWSThrottles"),
	},
	{
		name:  "css-failures-flood-log",
		bug:   "Each failure of an outage is logged.",
		fixed: "5055dc7",
		edits: []edit{{loggingPackage + "/failurelog.go", `	if now.Before(f.next) {`, `	if now.Before(f.since) {`}},
		by:    test(loggingPackage, "TestFailureLog_LogsAtGrowingIntervals"),
	},
	{
		name:  "css-unknown-log-level",
		bug:   "An unknown log level makes the log silent or ends the process.",
		fixed: "0b08c37",
		edits: []edit{{loggingPackage + "/logging.go", `		level = "info"`, `		level = "none"`}},
		by:    test(loggingPackage, "TestNew_StartsWithAnUnknownLevel"),
	},
	{
		name:  "css-unwritable-log-file",
		bug:   "A log file that cannot be written takes the log away from the console.",
		fixed: "0b08c37",
		edits: []edit{{
			loggingPackage + "/logging.go",
			`			l.WithError(err).Warnf("failed to open %s_LOG_FILE; logging to stderr alone", prefix)`,
			`			l.SetOutput(io.Discard)`,
		}},
		by: test(loggingPackage, "TestNew_StartsWithoutItsFile"),
	},
}
