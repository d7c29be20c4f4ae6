package clusterstate_test

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	clusterstate "github.com/blox/blox/cluster-state-service"
)

func parse(environment map[string]string, args ...string) (clusterstate.Config, error) {
	return clusterstate.ParseConfig(args, func(name string) string { return environment[name] }, io.Discard)
}

func TestParseConfig_AcceptsV03CommandLine(t *testing.T) {
	// v0.3's command line.
	c, err := parse(map[string]string{"CSS_LOG_FILE": "/var/log/css.log", "CSS_LOG_LEVEL": "debug"},
		"--bind", "0.0.0.0:3000", "--etcd-endpoint", "etcd1:2379", "--etcd-endpoint", "etcd2:2379",
		"--queue", "sqs://blox_queue")
	require.NoError(t, err)
	assert.Equal(t, []string{"etcd1:2379", "etcd2:2379"}, c.Etcd.Endpoints)
	assert.Equal(t, "sqs://blox_queue", c.Queue)
	assert.Equal(t, 20*time.Minute, c.ReconcileInterval)
	assert.Equal(t, "/var/log/css.log", c.LogFile)
	assert.Equal(t, "debug", c.LogLevel)

	c, err = parse(map[string]string{"CSS_BIND": "127.0.0.1:1", "CSS_ETCD_ENDPOINTS": "a:1,b:2", "CSS_QUEUE": "q"},
		"--bind", "127.0.0.1:2")
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:2", c.Bind, "flags override variables")
	assert.Equal(t, []string{"a:1", "b:2"}, c.Etcd.Endpoints)
	assert.Equal(t, "q", c.Queue)

	c, err = parse(nil, "--etcd-endpoint", "a:1", "--queue", "kinesis://events")
	require.NoError(t, err)
	assert.Equal(t, "kinesis://events", c.Queue)
	assert.Equal(t, 100, c.EtcdBatchSize)
	assert.Equal(t, 16, c.Pollers)
}

func TestParseConfig_ReportsEveryProblemOnOneLine(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want []string
	}{
		"no arguments": {nil, []string{"--etcd-endpoint is missing", "--queue is missing"}},
		"every flag malformed": {
			[]string{
				"--bind", "x", "--etcd-endpoint", "y", "--queue", "http://z", "--pollers", "0", "--etcd-history", "-1s",
				"--etcd-batch-size", "101", "--stopped-task-retention", "59m",
				"--scheduler-url", "javascript:alert(1)",
			},
			[]string{
				"--bind", "--etcd-endpoint", "--queue", "--pollers", "--etcd-history", "--etcd-batch-size",
				"--stopped-task-retention 59m0s: must be 1h to 720h", `--scheduler-url "javascript:alert(1)": must be http`,
			},
		},
		"two malformed etcd endpoints": {
			[]string{"--etcd-endpoint", "y", "--etcd-endpoint", "z", "--queue", "q"}, []string{`"y"`, `"z"`},
		},
		"unknown flag":        {[]string{"--colour"}, []string{"-colour"}},
		"unexpected argument": {[]string{"--queue", "q", "--etcd-endpoint", "a:1", "more"}, []string{`"more"`}},
		"malformed stream name": {
			[]string{"--queue", "kinesis://a:b", "--etcd-endpoint", "a:1"}, []string{"--queue", "Kinesis"},
		},
		"malformed interval": {
			[]string{"--queue", "q", "--etcd-endpoint", "a:1", "--reconcile-interval", "soon"},
			[]string{"-reconcile-interval"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(nil, tc.args...)
			require.Error(t, err)
			for _, want := range tc.want {
				assert.ErrorContains(t, err, want)
			}
			assert.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestParseConfig_ReadsTheRetentionOfStoppedTasks(t *testing.T) {
	required := []string{"--queue", "q", "--etcd-endpoint", "a:1"}
	for name, tc := range map[string]struct {
		variable string
		args     []string
		want     time.Duration
		err      string
	}{
		"an hour by default":             {want: time.Hour},
		"a variable sets it":             {variable: "48h", want: 48 * time.Hour},
		"the flag overrides it":          {"48h", []string{"--stopped-task-retention", "720h"}, 720 * time.Hour, ""},
		"more than thirty days is wrong": {args: []string{"--stopped-task-retention", "721h"}, err: "must be 1h to 720h"},
		"a malformed variable is wrong":  {variable: "2d", err: `CSS_STOPPED_TASK_RETENTION "2d": must be a duration`},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := parse(map[string]string{"CSS_STOPPED_TASK_RETENTION": tc.variable}, append(required, tc.args...)...)
			if tc.err != "" {
				assert.ErrorContains(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tc.want, c.StoppedTaskRetention)
		})
	}
}

func TestParseConfig_HelpAndVersion(t *testing.T) {
	var help strings.Builder
	_, err := clusterstate.ParseConfig([]string{"--help"}, func(string) string { return "" }, &help)
	assert.ErrorIs(t, err, flag.ErrHelp)
	for _, want := range []string{
		"-bind", "-etcd-endpoint", "-queue", "-pollers", "-etcd-history", "-etcd-batch-size", "AWS_REGION", "CSS_LOG_LEVEL",
	} {
		assert.Contains(t, help.String(), want)
	}
	_, err = parse(nil, "--version")
	assert.ErrorIs(t, err, clusterstate.ErrVersion)
}

// FuzzParseConfig checks that errors fit on one line and that nothing shows a password.
func FuzzParseConfig(f *testing.F) {
	f.Add("0.0.0.0:3000", "etcd:2379", "blox_queue", "20m")
	f.Add(":1", "https://a:1", "kinesis://events", "0")
	f.Add("x\ny", "me@b:2\n", "sqs://\x00", "-1ns")
	f.Fuzz(func(t *testing.T, bind, endpoint, queue, interval string) {
		const password = "Hunter:2"
		if strings.Contains(bind+endpoint+queue+interval, password) {
			return // the input itself contains the password
		}
		c, err := parse(map[string]string{"CSS_ETCD_USER": "me", "CSS_ETCD_PASSWORD": password},
			"--bind="+bind, "--etcd-endpoint="+endpoint, "--etcd-endpoint=me:"+password+"@etcd:1", "--queue="+queue,
			"--reconcile-interval="+interval)
		if err == nil || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), password) {
			t.Errorf("%q %q %q %q: %v", bind, endpoint, queue, interval, err)
		}
		c.Etcd.Endpoints = nil // the one with the password is refused
		if shown := fmt.Sprintf("%+v", c); strings.Contains(shown, password) {
			t.Errorf("shown: %s", shown)
		}
	})
}
