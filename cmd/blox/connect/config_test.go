package connect

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/tlsconfig"
)

func TestParseEndpoint_AcceptsURLAndHostPort(t *testing.T) {
	for given, want := range map[string]string{
		"127.0.0.1:2000":                    "http://127.0.0.1:2000",
		"scheduler:2000":                    "http://scheduler:2000",
		"http://scheduler":                  "http://scheduler",
		"https://scheduler:2000/":           "https://scheduler:2000",
		"https://id.execute-api.eu/blox/":   "https://id.execute-api.eu/blox",
		"https://id.execute-api.eu/blox/v1": "https://id.execute-api.eu/blox",
		"http://[::1]:2000":                 "http://[::1]:2000",
		"[::1]:2000":                        "http://[::1]:2000",
	} {
		u, err := parseEndpoint(given)
		require.NoError(t, err, given)
		assert.Equal(t, want, u.String(), given)
	}
	for _, wrong := range []string{"", "scheduler", "ftp://scheduler:1", "http://", "http://a:1?x=y", "http://a:1#x",
		"http://me:secret@a:1", "http://a:port", ":2000"} {
		_, err := parseEndpoint(wrong)
		assert.Error(t, err, wrong)
		if err != nil {
			assert.NotContains(t, err.Error(), "secret")
		}
	}
}

func TestConfig_Validate(t *testing.T) {
	good := Config{Endpoint: DefaultEndpoint, SimEndpoint: DefaultSimEndpoint, Timeout: time.Second}
	assert.NoError(t, good.Validate())
	assert.Equal(t, DefaultCSSEndpoint, good.cssEndpoint())
	signed := good
	signed.Endpoint, signed.SigV4 = "https://id.execute-api.eu/blox", true
	assert.Equal(t, signed.Endpoint, signed.cssEndpoint(), "API Gateway serves both")
	signed.CSSEndpoint = "http://state:3000"
	assert.Equal(t, "http://state:3000", signed.cssEndpoint())
	for name, spoil := range map[string]func(*Config){
		"--endpoint":     func(c *Config) { c.Endpoint = "x" },
		"--css-endpoint": func(c *Config) { c.CSSEndpoint = "x" },
		"--sim-endpoint": func(c *Config) { c.SimEndpoint = "x" },
		"--cert":         func(c *Config) { c.TLS = tlsconfig.Files{Key: "x"} },
		"--timeout":      func(c *Config) { c.Timeout = -time.Second },
	} {
		bad := good
		spoil(&bad)
		assert.ErrorContains(t, bad.Validate(), name)
	}
}
