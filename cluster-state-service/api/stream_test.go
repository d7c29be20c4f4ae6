package api

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Lines that come at once are sent together, and nothing is held back once no more follows, whichever lines are unwanted.
func TestLinesThatComeAtOnceAreSentTogether(t *testing.T) {
	for name, tc := range map[string]struct {
		lines string // a capital letter says that more follows, a dot stands for an unwanted line
		sent  []string
	}{
		"one by one":         {"abc", []string{"a", "b", "c"}},
		"together":           {"ABCd", []string{"ABCd"}},
		"the last unwanted":  {"AB.", []string{"AB"}},
		"the first unwanted": {"_Bc", []string{"Bc"}},
		"all unwanted":       {"__.", nil},
		"then one":           {"Abc", []string{"Ab", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			var sent []string
			lines := lineWriter{send: func(p []byte) error {
				sent = append(sent, string(p))
				return nil
			}}
			for _, c := range tc.lines {
				line, more := string(c), c == '_' || c >= 'A' && c <= 'Z'
				if c == '_' || c == '.' {
					line = ""
				}
				require.NoError(t, lines.write([]byte(line), more))
			}
			assert.Equal(t, tc.sent, sent)
			assert.Nil(t, lines.held)
		})
	}
	sent := 0
	lines := lineWriter{send: func([]byte) error { sent++; return nil }}
	for range 10 {
		require.NoError(t, lines.write([]byte(strings.Repeat("x", maxHeld/2)), true))
	}
	assert.Equal(t, 5, sent, "what is held is bounded")
}
