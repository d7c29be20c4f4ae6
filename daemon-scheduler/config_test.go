package daemonscheduler_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	daemonscheduler "github.com/blox/blox/daemon-scheduler"
)

func parse(variables map[string]string, args ...string) (daemonscheduler.Config, error) {
	return daemonscheduler.ParseConfig(args, func(name string) string { return variables[name] }, io.Discard)
}

func TestParseConfig_FlagsOverrideVariablesAndDefaults(t *testing.T) {
	c, err := parse(nil, "--css-endpoint", "css:3000", "--etcd-endpoint", "etcd:2379")
	require.NoError(t, err)
	assert.Equal(t, "0.0.0.0:2000", c.Bind)
	assert.Equal(t, []string{"css:3000"}, c.CSSEndpoints)
	assert.Equal(t, []string{"etcd:2379"}, c.Etcd.Endpoints)
	assert.Equal(t, 30*time.Second, c.StartConfirmTimeout)
	assert.Equal(t, 100, c.DeploymentHistory)

	variables := map[string]string{
		"DS_BIND": "[::]:1", "DS_CSS_ENDPOINTS": "a:1,b:2", "DS_ETCD_ENDPOINTS": "c:3,d:4", "DS_LOG_LEVEL": "debug", "DS_LOG_FILE": "/x",
	}
	c, err = parse(variables)
	require.NoError(t, err)
	assert.Equal(t, "[::]:1", c.Bind)
	assert.Equal(t, []string{"a:1", "b:2"}, c.CSSEndpoints)
	assert.Equal(t, []string{"c:3", "d:4"}, c.Etcd.Endpoints)
	assert.Equal(t, "debug", c.LogLevel)
	assert.Equal(t, "/x", c.LogFile)

	c, err = parse(variables, "--bind", ":2", "--css-endpoint", "e:5", "--css-endpoint", "f:6", "--etcd-endpoint", "g:7")
	require.NoError(t, err)
	assert.Equal(t, ":2", c.Bind)
	assert.Equal(t, []string{"e:5", "f:6"}, c.CSSEndpoints)
	assert.Equal(t, []string{"g:7"}, c.Etcd.Endpoints)
}

func TestParseConfig_NamesEveryInvalidSetting(t *testing.T) {
	_, err := parse(nil)
	assert.EqualError(t, err, "--css-endpoint is missing: host:port of the cluster-state-service; "+
		"--etcd-endpoint is missing: host:port of etcd")
	_, err = parse(nil, "--bind", "x", "--css-endpoint", "ftp://x", "--etcd-endpoint", "y",
		"--start-confirm-timeout", "-1s", "--leader-lease", "1s", "--deployment-history", "0", "--workers", "0",
		"--change-rate", "0", "--read-rate", "NaN", "--lookup-rate", "-1", "--attribute-interval", "-1s",
		"--health-interval", "0", "--rollout-health-interval", "-1s", "--alarm-rate", "0", "--alarm-interval", "0",
		"--read-only-bind", "y", "--idempotency-retention", "1ms", "more")
	for _, part := range []string{
		`unknown argument "more"; `, `--bind "x": must be host:port; `, `--read-only-bind "y": must be host:port; `,
		`--css-endpoint: endpoint "ftp://x"`,
		`--etcd-endpoint: etcd endpoint "y": must be host:port; `,
		"--start-confirm-timeout -1s: must be 0 or above; ", "--leader-lease 1s: must be at least 2s; ",
		"--deployment-history 0: must be at least 1; ",
		"--workers 0: must be 1 to 100; ", "--health-interval 0s: must be above 0; ",
		"--rollout-health-interval -1s: must be above 0; ", "--change-rate 0: must be above 0; ",
		"--read-rate NaN: must be above 0; ",
		"--alarm-rate 0: must be above 0", "--alarm-interval 0s: must be above 0",
		"--idempotency-retention 1ms: must be at least 1s",
		"--lookup-rate -1: must be above 0", "--attribute-interval -1s: must be 0 or above",
	} {
		assert.ErrorContains(t, err, part)
	}
	assert.NotContains(t, err.Error(), "\n")
	_, err = parse(nil, "--colour")
	assert.ErrorContains(t, err, "-colour")
}

func TestParseConfig_PrintsHelpAndReportsVersion(t *testing.T) {
	var help bytes.Buffer
	_, err := daemonscheduler.ParseConfig([]string{"--help"}, func(string) string { return "" }, &help)
	assert.ErrorIs(t, err, flag.ErrHelp)
	assert.Contains(t, help.String(), "-css-endpoint host:port")
	_, err = parse(nil, "--version")
	assert.ErrorIs(t, err, daemonscheduler.ErrVersion)
}

func TestParseConfig_AcceptsAddressesOfPagesOnly(t *testing.T) {
	required := []string{"--css-endpoint", "css:3000", "--etcd-endpoint", "etcd:2379"}
	c, err := parse(nil, append(required, "--read-only-ui", "--explorer-url", "https://blox.example.com/css/")...)
	require.NoError(t, err)
	assert.True(t, c.ReadOnlyUI)
	assert.Equal(t, "https://blox.example.com/css/", c.ExplorerURL)
	for _, invalid := range []string{
		"css:3000", "javascript:alert(1)", "//css", "https://", "https://css/#x", "https://css/?x=1",
	} {
		_, err = parse(nil, append(required, "--explorer-url", invalid)...)
		assert.EqualError(t, err, fmt.Sprintf(
			"--explorer-url %q: must be http://… or https://… without a user, query or fragment", invalid))
	}
	_, err = parse(nil, append(required, "--explorer-url", "https://me:secret@css")...)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "secret")
}

// FuzzParseConfig parses any values: an error is one line without passwords, and an accepted configuration is valid.
func FuzzParseConfig(f *testing.F) {
	f.Add("0.0.0.0:2000", "etcd:2379", "css:3000", "10s", 20.0)
	f.Add(":1", "https://a:1", "https://css/blox", "2s", 0.0)
	f.Add("x\ny", "me@b:2\n", "http://me:Hunter:2@css:3000/\n", "2500ms", math.NaN())
	f.Fuzz(func(t *testing.T, bind, endpoint, css, lease string, rate float64) {
		const password = "of etcd"
		if strings.Contains(bind+endpoint+css+lease, password) {
			return // the input has the password
		}
		c, err := parse(map[string]string{"DS_ETCD_USER": "me", "DS_ETCD_PASSWORD": password}, "--bind="+bind, "--etcd-endpoint="+endpoint,
			"--css-endpoint="+css, "--leader-lease="+lease, "--change-rate="+strconv.FormatFloat(rate, 'g', -1, 64))
		if err != nil && (strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), password)) {
			t.Errorf("%q %q %q %q %g: %v", bind, endpoint, css, lease, rate, err)
		}
		if err == nil && !(c.ChangeRate > 0 && c.Lease >= 2*time.Second) {
			t.Errorf("accepted: %+v", c)
		}
		if shown := fmt.Sprintf("%+v", c.Etcd); strings.Contains(shown, password) {
			t.Errorf("shown: %s", shown)
		}
	})
}
