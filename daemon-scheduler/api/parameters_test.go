package api

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestParameters_NameTheOffendingValueAndTheAcceptedOnes(t *testing.T) {
	for name, tc := range map[string]struct {
		query, err string
		parse      func(*http.Request) error
	}{
		"type": {"type=NO", `Invalid type "NO": must be ROLLBACK or ABORT`, func(r *http.Request) error {
			_, err := stopKind(r)
			return err
		}},
		"heartbeat": {"heartbeat=301", `Invalid heartbeat "301": must be 1 to 300 seconds`, func(r *http.Request) error {
			_, err := heartbeatParameter(r)
			return err
		}},
		"revision": {"revision=0", `Invalid revision "0": must be a whole number of 1 or more`, func(r *http.Request) error {
			_, err := revisionParameter(r)
			return err
		}},
		"limit": {"limit=0", `Invalid limit "0": must be 1 to 1000`, func(r *http.Request) error {
			_, err := limitParameter(r)
			return err
		}},
		"environmentType": {
			"environmentType=daemon", `Invalid environmentType "daemon": must be DAEMON`, func(r *http.Request) error {
				_, err := environmentFilter(r.URL.Query())
				return err
			},
		},
		"environment": {
			"environment=a/b", `Invalid environment "a/b": must be 1 to 30 letters, digits, hyphens and underscores`,
			func(r *http.Request) error {
				_, err := environmentParameter(r)
				return err
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.parse(httptest.NewRequest("GET", "/?"+tc.query, nil))
			assert.ErrorIs(t, err, errInvalid)
			assert.EqualError(t, err, tc.err)
			assert.NoError(t, tc.parse(httptest.NewRequest("GET", "/", nil)))
		})
	}
}

func TestBoolParameter_NamesTheOffendingParameterAndValue(t *testing.T) {
	for given, want := range map[string]struct {
		value bool
		err   string
	}{
		"":                        {false, ""},
		"false":                   {false, ""},
		"true":                    {true, ""},
		"yes":                     {false, `Invalid dryRun "yes": must be true or false`},
		"TRUE":                    {false, `Invalid dryRun "TRUE": must be true or false`},
		strings.Repeat("x", 5000): {false, `Invalid dryRun "` + strings.Repeat("x", 100) + `": must be true or false`},
	} {
		value, err := boolParameter(httptest.NewRequest("POST", "/?dryRun="+url.QueryEscape(given), nil), "dryRun")
		assert.Equal(t, want.value, value)
		if want.err == "" {
			assert.NoError(t, err)
			continue
		}
		assert.ErrorIs(t, err, errInvalid)
		assert.EqualError(t, err, want.err)
	}
}
