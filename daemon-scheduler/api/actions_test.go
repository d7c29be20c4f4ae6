package api

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

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
