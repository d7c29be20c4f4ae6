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

// silent is an address at which connections are accepted and nothing is ever said.
func silent(t *testing.T) string {
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

// Every error says what was wrong, and what to do about it.
func TestErrors_NameCauseAndNextStep(t *testing.T) {
	w := newWorld(t)
	nobody := testenv.FreeAddress(t)
	w.ok("environments", "create", "web-agent", "--cluster", "default", "--task-definition", "agent")
	stale := "00000000-0000-4000-8000-000000000000"
	for name, tc := range map[string]struct {
		args string
		code int
		says []string
	}{
		"no connection":        {"--endpoint " + nobody + " environments list", 1, []string{"no connection to daemon-scheduler at " + nobody, "--endpoint URL or BLOX_ENDPOINT", "make local"}},
		"nothing listens, CSS":   {"--css-endpoint " + nobody + " tasks list", 1, []string{"cluster-state-service at " + nobody, "--css-endpoint URL or BLOX_CSS_ENDPOINT"}},
		"no simulator":           {"sim --sim-endpoint " + nobody + " state", 1, []string{"the simulator at " + nobody, "--sim-endpoint"}},
		"no such host":           {"--endpoint http://nowhere.invalid:2000 environments list", 1, []string{"no such host: nowhere.invalid", "--endpoint"}},
		"no answer":              {"--timeout 50ms --endpoint " + silent(t) + " environments list", 1, []string{"did not respond within", "within 50ms", "Raise the limit, as in --timeout 2m"}},
		"https that is none":     {"--endpoint https://" + w.ds + " environments list", 1, []string{"serves http, not https", "Use http:// in"}},
		"the other service":      {"--endpoint " + w.css + " environments list", 1, []string{"daemon-scheduler does not serve this path at " + w.css, "--endpoint"}},
		"unknown environment":    {"environments describe nope", 1, []string{"Environment nope does not exist", "blox environments list"}},
		"unknown deployment":     {"deployments describe web-agent 123", 1, []string{"no deployment of environment web-agent has the id 123"}},
		"no deployment":          {"deployments describe web-agent", 1, []string{"environment web-agent has no deployments"}},
		"unknown cluster":        {"environments create b --cluster nope --task-definition agent", 1, []string{"Cluster does not exist", "region and account"}},
		"unknown cluster, CSS":   {"clusters describe nope", 1, []string{`"nope"`, "blox clusters list"}},
		"a bad name":             {"environments create a!b --cluster default --task-definition agent", 1, []string{"validation failure list:\n  name in body should match"}},
		"bad numbers":            {"environments create b --cluster default --task-definition agent --maximum-percent 300 --drain-order 5000", 1, []string{"validation failure list:", "maximumPercent", "drainOrder"}},
		"taken":                  {"environments create web-agent --cluster default --task-definition agent", 1, []string{"already exists", "blox environments update"}},
		"a token of before":      {"environments update web-agent --drain-order 1 --token " + stale, 1, []string{"is outdated", "repeat the command"}},
		"deployed with such":     {"deployments create web-agent --token " + stale, 1, []string{"is outdated", "repeat the command"}},
		"nothing to go back to":  {"environments rollback web-agent", 1, []string{"has no earlier completed deployment"}},
		"a bad filter":           {"tasks list --status lost", 1, []string{"Invalid status"}},
		"no such file":           {"environments create --file nowhere.yml", 2, []string{"--file: open nowhere.yml: no such file"}},
		"unknown command":        {"environment lst", 2, []string{`unknown command "lst" for "blox environments"; did you mean "list"?`, "blox environments --help"}},
		"unknown first word":     {"enviroments", 2, []string{`did you mean "environments"?`, `See "blox --help"`}},
		"unknown flag":           {"tasks list --sttus x", 2, []string{"unknown flag: --sttus", `See "blox tasks list --help"`}},
		"an argument too many":   {"tasks list x", 2, []string{`unexpected argument "x"`}},
		"an argument is missing": {"environments describe", 2, []string{"NAME is required"}},
		"all that is missing":    {"environments create", 2, []string{"NAME is required", "--cluster is required", "--task-definition is required"}},
		"no change given":      {"environments update web-agent", 2, []string{"no change given"}},
		"both canaries":          {"environments update web-agent --canary-percent 1 --canary-query x", 2, []string{"canary-percent", "canary-query"}},
		"a bad breaker":          {"environments update web-agent --circuit-breaker maybe", 2, []string{"must be off, pause or rollback"}},
		"a bad reset":            {"environments update web-agent --reset everything", 2, []string{"--reset", "canary"}},
		"a bad type":             {"deployments stop web-agent --type GENTLY", 2, []string{"must be ROLLBACK or ABORT"}},
		"a bad output":           {"tasks list -o xml", 2, []string{"must be one of table, json, yaml"}},
		"a bad endpoint":         {"--endpoint ftp://x environments list", 2, []string{"--endpoint", "must be a URL"}},
		"a cert without key":     {"--cert x environments list", 2, []string{"--cert and --key must be given together"}},
		"no such CA":             {"--ca nowhere.pem environments list", 1, []string{"--ca", "nowhere.pem"}},
		"no time":                {"--timeout 0s environments list", 2, []string{"--timeout 0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.blox(strings.Fields(tc.args)...)
			assert.Equal(t, tc.code, r.code, r.err)
			assert.Empty(t, r.out)
			assert.True(t, strings.HasPrefix(r.err, "blox: "), r.err)
			for _, text := range tc.says {
				assert.Contains(t, r.err, text)
			}
		})
	}
	status := w.blox("status", "--endpoint", nobody)
	assert.Equal(t, 1, status.code)
	rows := table(status.out)
	require.Len(t, rows, 2)
	assert.Equal(t, []string{"cluster-state-service", "yes"}, rows[0][:2])
	assert.Equal(t, []string{"daemon-scheduler", "no", "-"}, rows[1][:3])
	assert.Contains(t, rows[1][3], "no connection")
}

// Until a reconciliation with ECS succeeds, an empty list would be wrong, so the service is not ready.
func TestErrors_BeforeTheFirstReconciliation(t *testing.T) {
	w := newAWS(t)
	w.ok("sim", "services", "down", "ecs")
	w.serveState(tlsconfig.Files{})
	r := w.blox("tasks", "list")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.err, "cluster-state-service: Not yet reconciled with ECS\n")
	assert.Contains(t, r.err, `"blox status" shows`)
	status := w.blox("status")
	assert.Equal(t, 1, status.code)
	assert.Contains(t, strings.ToLower(table(status.out)[0][3]), "reconciled")
}

func TestErrors_InterruptedCommand(t *testing.T) {
	w := newAWS(t)
	r := w.start("--endpoint", silent(t), "environments", "list")
	r.interrupt()
	assert.Equal(t, 130, r.end())
	assert.Empty(t, r.err.String())
}

func TestTLS_ExplainsCertificateErrors(t *testing.T) {
	w := newAWS(t)
	ca, other := testenv.NewCA(t), testenv.NewCA(t)
	w.serve(ca.Files("service"))
	assert.Equal(t, 0, w.blox("clusters", "list").code)
	w.ok("environments", "create", "web-agent", "--cluster", "default", "--task-definition", "agent")
	stream := w.start("stream", "tasks", "--heartbeat", "1", "-o", "json")
	stream.says("entityVersion")
	stream.interrupt()
	assert.Equal(t, 0, stream.end())

	stranger := other.Files("stranger")
	for name, tc := range map[string]struct {
		environment map[string]string
		endpoint    string
		says        []string
	}{
		"an unknown authority":  {map[string]string{}, "https://" + w.ds, []string{"is signed by an unknown authority", "--ca FILE"}},
		"no certificate":        {map[string]string{"BLOX_CA": ca.File}, "https://" + w.ds, []string{"requires a client certificate", "--cert FILE"}},
		"a certificate refused": {map[string]string{"BLOX_CA": ca.File, "BLOX_CERT": stranger.Cert, "BLOX_KEY": stranger.Key}, "https://" + w.ds, []string{"rejected the client certificate in " + stranger.Cert}},
		"http":                  {map[string]string{}, "http://" + w.ds, []string{"serves https, not http", "Use https:// in --endpoint"}},
	} {
		t.Run(name, func(t *testing.T) {
			alone := &world{t: t, environment: tc.environment}
			r := alone.blox("environments", "list", "--endpoint", tc.endpoint)
			assert.Equal(t, 1, r.code)
			for _, text := range tc.says {
				assert.Contains(t, r.err, text)
			}
		})
	}
}
