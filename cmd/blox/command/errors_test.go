package command_test

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/tlsconfig"
)

// silentServer returns the address of a server that accepts connections and never responds.
func silentServer(t *testing.T) string {
	t.Helper()
	listener := listen(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var open []net.Conn
		for {
			c, err := listener.Accept()
			if err != nil {
				break
			}
			open = append(open, c)
		}
		for _, c := range open {
			c.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-ended })
	return listener.Addr().String()
}

// Every error names its cause and the next step.
func TestErrors_NameCauseAndNextStep(t *testing.T) {
	h := newHarness(t)
	unusedAddress := testenv.FreeAddress(t)
	h.mustRun("environments", "create", "web-agent", "--cluster", "default", "--task-definition", "agent")
	stale := "00000000-0000-4000-8000-000000000000"
	for name, tc := range map[string]struct {
		args string
		code int
		want []string
	}{
		"no connection": {"--endpoint " + unusedAddress + " environments list", 1,
			[]string{"no connection to daemon-scheduler at " + unusedAddress, "--endpoint URL or BLOX_ENDPOINT", "make local"}},
		"no connection to CSS": {"--css-endpoint " + unusedAddress + " tasks list", 1,
			[]string{"cluster-state-service at " + unusedAddress, "--css-endpoint URL or BLOX_CSS_ENDPOINT"}},
		"no simulator": {"sim --sim-endpoint " + unusedAddress + " state", 1,
			[]string{"the simulator at " + unusedAddress, "--sim-endpoint"}},
		"unknown host": {"--endpoint http://nowhere.invalid:2000 environments list", 1,
			[]string{"no such host: nowhere.invalid", "--endpoint"}},
		"no response": {"--timeout 50ms --endpoint " + silentServer(t) + " environments list", 1,
			[]string{"did not respond within", "within 50ms", "Raise the limit, as in --timeout 2m"}},
		"https to an http server": {"--endpoint https://" + h.ds + " environments list", 1,
			[]string{"serves http, not https", "Use http:// in"}},
		"the other service": {"--endpoint " + h.css + " environments list", 1,
			[]string{"daemon-scheduler does not serve this path at " + h.css, "--endpoint"}},
		"unknown environment": {"environments describe nope", 1,
			[]string{"Environment nope does not exist", "blox environments list"}},
		"unknown deployment": {"deployments describe web-agent 123", 1,
			[]string{"no deployment of environment web-agent has the ID 123"}},
		"no deployment": {"deployments describe web-agent", 1, []string{"environment web-agent has no deployments"}},
		"unknown cluster": {"environments create b --cluster nope --task-definition agent", 1,
			[]string{`Cluster "nope" does not exist`, "region and account"}},
		"unknown cluster, CSS": {"clusters describe nope", 1, []string{`"nope"`, "blox clusters list"}},
		"an invalid name": {"environments create a!b --cluster default --task-definition agent", 2,
			[]string{"flags: name should match"}},
		"numbers out of range": {"environments create b --cluster default --task-definition agent " +
			"--maximum-percent 300 --drain-order 5000", 2, []string{
			"flags: deploymentConfiguration.maximumPercent should be less than or equal to 200",
			"flags: drainOrder should be less than or equal to 1000"}},
		"a name in use": {"environments create web-agent --cluster default --task-definition agent", 1,
			[]string{"already exists", "blox environments update"}},
		"an update with an outdated token": {"environments update web-agent --drain-order 1 --token " + stale, 1,
			[]string{"is outdated", "repeat the command"}},
		"a deployment with an outdated token": {"deployments create web-agent --token " + stale, 1,
			[]string{"is outdated", "repeat the command"}},
		"no deployment to roll back to": {"environments rollback web-agent", 1,
			[]string{"has no earlier completed deployment"}},
		"an invalid filter": {"tasks list --status lost", 1,
			[]string{"Invalid status\n  Tasks: PROVISIONING, PENDING,", "\n  Instances: REGISTERING,"}},
		"an invalid entity version": {"stream tasks --from x", 1,
			[]string{"Invalid entity version\n  It must be a whole number"}},
		"a missing file": {"environments create --file nowhere.yml", 2,
			[]string{"--file: nowhere.yml: no such file or directory\n"}},
		"unknown command": {"environment lst", 2,
			[]string{`unknown command "lst" for "blox environments"; did you mean "list"?`, "blox environments --help"}},
		"unknown top-level command": {"enviroments", 2, []string{`did you mean "environments"?`, `See "blox --help"`}},
		"unknown flag": {"tasks list --sttus x", 2,
			[]string{`unknown flag: --sttus; did you mean "--status"?`, `See "blox tasks list --help"`}},
		"two similar commands": {"deplo", 2, []string{`did you mean "deploy" or "deployments"?`}},
		"an unknown command of help": {"help environments lst", 2,
			[]string{`unknown command "lst" for "blox environments"; did you mean "list"?`}},
		"not a number": {"deploy web-agent --revision x", 2, []string{`--revision "x": must be a whole number`}},
		"a duration without a unit": {"deploy web-agent --watch --watch-for 10", 2,
			[]string{`--watch-for "10": must be a duration, such as 30s or 5m`}},
		"no context": {"context use prod", 1,
			[]string{`context "prod" does not exist: "blox context set prod" creates it`}},
		"an unknown column": {"environments list --sort-by faild", 2,
			[]string{`--sort-by "faild": must be one of the columns NAME, STATUS, HEALTH`, "blox environments list --help"}},
		"an unknown column of an empty list": {"tasks list --sort-by x", 2,
			[]string{`--sort-by "x": must be one of the columns TASK, CLUSTER`}},
		"an extra argument":  {"tasks list x", 2, []string{`unexpected argument "x"`}},
		"a missing argument": {"environments describe", 2, []string{"NAME is required"}},
		"all missing settings": {"environments create", 2,
			[]string{"NAME is required", "--cluster is required", "--task-definition is required"}},
		"no change given": {"environments update web-agent", 2, []string{"no change given"}},
		"both canaries": {"environments update web-agent --canary-percent 1 --canary-query x", 2,
			[]string{"canary-percent", "canary-query"}},
		"an invalid circuit breaker": {"environments update web-agent --circuit-breaker maybe", 2,
			[]string{"must be off, pause or rollback"}},
		"an invalid setting to reset": {"environments update web-agent --reset everything", 2,
			[]string{"--reset", "canary"}},
		"an invalid stop type": {"deployments stop web-agent --type GENTLY", 2,
			[]string{"must be ROLLBACK or ABORT"}},
		"watching an aborted deployment": {"deployments stop web-agent --type abort --watch", 2,
			[]string{"--watch needs --type ROLLBACK"}},
		"a limit without watching": {"deployments create web-agent --watch-for 1m", 2,
			[]string{"--watch-for needs --watch"}},
		"an invalid output format": {"tasks list -o xml", 2, []string{"must be one of table, wide, name, json, yaml, jsonpath="}},
		"an invalid endpoint":      {"--endpoint ftp://x environments list", 2, []string{"--endpoint", "must be a URL"}},
		"a certificate without a key": {"--cert x environments list", 2,
			[]string{"--cert and --key must be set together"}},
		"a missing CA file": {"--ca nowhere.pem environments list", 1, []string{"--ca", "nowhere.pem"}},
		"a timeout of zero": {"--timeout 0s environments list", 2, []string{"--timeout 0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := h.run(strings.Fields(tc.args)...)
			assert.Equal(t, tc.code, r.code, r.err)
			assert.Empty(t, r.out)
			assert.True(t, strings.HasPrefix(r.err, "blox: "), r.err)
			for _, text := range tc.want {
				assert.Contains(t, r.err, text)
			}
		})
	}
	status := h.run("status", "--endpoint", unusedAddress)
	assert.Equal(t, 1, status.code)
	rows := tableRows(status.out)
	require.Len(t, rows, 2)
	assert.Equal(t, []string{"cluster-state-service", "yes"}, rows[0][:2])
	assert.Equal(t, []string{"daemon-scheduler", "no", "-"}, rows[1][:3])
	assert.Contains(t, rows[1][3], "no connection")
}

// Until a reconciliation with ECS succeeds, an empty list would be wrong, so the service is not ready.
func TestErrors_BeforeTheFirstReconciliation(t *testing.T) {
	h := newHarnessWithoutServices(t)
	h.mustRun("sim", "services", "down", "ecs")
	h.startClusterState(tlsconfig.Files{})
	r := h.run("tasks", "list")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.err, "cluster-state-service: Not yet reconciled with ECS\n")
	assert.Contains(t, r.err, `"blox status" shows`)
	status := h.run("status")
	assert.Equal(t, 1, status.code)
	assert.Contains(t, strings.ToLower(tableRows(status.out)[0][3]), "reconciled")
}

func TestErrors_NameThePermissionThatLacks(t *testing.T) {
	h := newHarness(t)
	h.mustRun("sim", "faults", "set",
		`{"refusals": {"DescribeTaskDefinition": {"code": "AccessDeniedException", "fraction": 1}}}`)
	r := h.run("environments", "create", "web-agent", "--cluster", "default", "--task-definition", "agent")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.err, "daemon-scheduler: ECS denies access: AccessDeniedException: ")
	assert.Contains(t, r.err, "\n  Allow the action in the IAM policy of the service, or of the environment's role.\n")
}

func TestErrors_InterruptedCommand(t *testing.T) {
	h := newHarnessWithoutServices(t)
	r := h.start("--endpoint", silentServer(t), "environments", "list")
	r.interrupt()
	assert.Equal(t, 130, r.awaitExit())
	assert.Empty(t, r.err.String())
}

func TestTLS_ExplainsCertificateErrors(t *testing.T) {
	h := newHarnessWithoutServices(t)
	ca, other := testenv.NewCA(t), testenv.NewCA(t)
	h.startServices(ca.Files("service"))
	assert.Equal(t, 0, h.run("clusters", "list").code)
	h.mustRun("environments", "create", "web-agent", "--cluster", "default", "--task-definition", "agent")
	stream := h.start("stream", "tasks", "--heartbeat", "1", "-o", "json")
	stream.awaitOutput("entityVersion")
	stream.interrupt()
	assert.Equal(t, 0, stream.awaitExit())

	untrusted := other.Files("untrusted")
	for name, tc := range map[string]struct {
		environment map[string]string
		endpoint    string
		want        []string
	}{
		"an unknown authority": {map[string]string{}, "https://" + h.ds,
			[]string{"is signed by an unknown authority", "--ca FILE"}},
		"no certificate": {map[string]string{"BLOX_CA": ca.File}, "https://" + h.ds,
			[]string{"requires a client certificate", "--cert FILE"}},
		"a rejected certificate": {
			map[string]string{"BLOX_CA": ca.File, "BLOX_CERT": untrusted.Cert, "BLOX_KEY": untrusted.Key}, "https://" + h.ds,
			[]string{"rejected the client certificate in " + untrusted.Cert}},
		"http": {map[string]string{}, "http://" + h.ds,
			[]string{"serves https, not http", "Use https:// in --endpoint"}},
	} {
		t.Run(name, func(t *testing.T) {
			alone := &harness{t: t, environment: tc.environment}
			r := alone.run("environments", "list", "--endpoint", tc.endpoint)
			assert.Equal(t, 1, r.code)
			for _, text := range tc.want {
				assert.Contains(t, r.err, text)
			}
		})
	}
}
