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
		name:  "css-budget-never-grows",
		bug:   "After AWS has throttled a call, the rate of calls stays low.",
		edits: []edit{{limitPackage + "/limiter.go", `increase        = 0.05`, `increase        = 0.0`}},
		by:    test(limitPackage, "TestLimiter_GrowsFromItsPartToTheWholeRate"),
	},
	{
		name: "css-budget-without-order",
		bug:  "Calls that are not urgent take the tokens of urgent ones.",
		edits: []edit{{limitPackage + "/limiter.go", `l.waiting[p] = append(l.waiting[p], w)`, `p = Low
	l.waiting[p] = append(l.waiting[p], w)`}},
		by: test(limitPackage, "TestLimiter_ServesUrgentCallsFirst"),
	},
	{
		name:  "css-credentials-not-reloaded",
		bug:   "Credentials that expire and are rewritten in their file are not read again.",
		fixed: "9d64a69",
		edits: []edit{{
			credentialsPackage + "/reload.go",
			`	if slices.EqualFunc(now, r.reloaded, unchanged) && !r.isRefused(ctx) {`,
			`	if len(now) >= 0 || slices.EqualFunc(now, r.reloaded, unchanged) && !r.isRefused(ctx) {`,
		}},
		by: test(credentialsPackage, "TestLoad_RereadsRewrittenCredentials"),
	},
	{
		name: "css-role-without-back-off",
		bug:  "While a role cannot be assumed, each call sends another AssumeRole.",
		edits: []edit{{
			credentialsPackage + "/role.go",
			`	if p.failures > 0 && now.Before(p.retryAt) {`,
			`	if p.failures > 1000 && now.Before(p.retryAt) {`,
		}},
		by: test(credentialsPackage, "TestRoleProvider_BacksOffAndRecovers"),
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
