package query

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	small = Instance{
		EC2InstanceID: "i-small", AgentConnected: true, AgentVersion: "1.9.2", CapacityProvider: "spot",
		RegisteredAt: time.Date(2026, 1, 31, 12, 0, 0, 500e6, time.UTC),
		Attributes: Map{
			"ecs.instance-type": "t3.small", "ecs.os-type": "linux", "zone": "a", "gpu": "", "team": "web shop",
		},
	}
	large = Instance{
		EC2InstanceID: "i-large", AgentConnected: true, AgentVersion: "1.86.0", CapacityProvider: "on-demand",
		RegisteredAt: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
		Attributes:   Map{"ecs.instance-type": "m5.large", "zone": "b"},
	}
	remote = Instance{EC2InstanceID: "mi-1", Attributes: Map{"ecs.os-type": "windows"}}
)

func TestParse_MatchesInstances(t *testing.T) {
	all := map[string]Instance{"small": small, "large": large, "remote": remote}
	for query, want := range map[string]string{
		"":                                                       "large remote small",
		" \t\n":                                                  "large remote small",
		"attribute:zone == a":                                    "small",
		"attribute:zone==a":                                      "small",
		"attribute:zone equals 'a'":                              "small",
		"attribute:zone == A":                                    "",
		"attribute:zone != a":                                    "large remote",
		"attribute:zone not_equals a":                            "large remote",
		`attribute:team == "web shop"`:                           "small",
		"attribute:gpu == ''":                                    "small",
		"attribute:gpu exists":                                   "small",
		"attribute:gpu !exists":                                  "large remote",
		"attribute:gpu not_exists":                               "large remote",
		"attribute:zone in [a, b]":                               "large small",
		"attribute:zone in [ a ]":                                "small",
		"attribute:zone in (a,'b')":                              "large small",
		"attribute:zone not_in [a]":                              "large remote",
		"attribute:zone !in [a]":                                 "large remote",
		"attribute:ecs.instance-type =~ t3.*":                    "small",
		"attribute:ecs.instance-type =~ t3":                      "",
		"attribute:ecs.instance-type matches 't3|m5.large'":      "large",
		"attribute:ecs.instance-type !~ '(t3|m5)[.].*'":          "remote",
		"attribute:ecs.instance-type not_matches '(t3|m5)[.].*'": "remote",
		"ec2InstanceId in [i-small, mi-1]":                       "remote small",
		"ec2InstanceId =~ i-.*":                                  "large small",
		"agentVersion < 1.86":                                    "small",
		"agentVersion <= 1.86":                                   "large small",
		"agentVersion == 1.86":                                   "large",
		"agentVersion != 1.86":                                   "remote small",
		"agentVersion > '1.9'":                                   "large small",
		"agentVersion greater_than 1.10.0":                       "large",
		"agentVersion greater_than_equal 1.9.2":                  "large small",
		"agentVersion less_than 2":                               "large small",
		"agentVersion less_than_equal 1.9.2.0":                   "small",
		"agentVersion !exists":                                   "remote",
		"not agentVersion >= 1.86":                               "remote small",
		"registeredAt>=2026-02-01":                               "large",
		"registeredAt < 2026-02-01":                              "small",
		"registeredAt == 2026-02-01T00:00:00":                    "large",
		"registeredAt > 2026-01-31T12:00:00Z":                    "large small",
		"registeredAt > 2026-01-31T13:00:00+01:00":               "large small",
		"registeredAt exists":                                    "large small",
		"capacityProviderName == spot":                           "small",
		"capacityProviderName !~ 'on-.*'":                        "remote small",
		"capacityProviderName in [spot, on-demand]":              "large small",
		"capacityProviderName !exists":                           "remote",
		"agentConnected == true":                                 "large small",
		"agentConnected != true":                                 "remote",
		"agentConnected in [false]":                              "remote",
		"attribute:zone == a or attribute:zone == b":             "large small",
		"attribute:zone == a || attribute:zone == b":             "large small",
		"agentConnected == true and attribute:zone == b":         "large",
		"agentConnected == true && attribute:zone == b":          "large",
		"not attribute:zone == a":                                "large remote",
		"!attribute:zone == a":                                   "large remote",
		"not not attribute:zone == a":                            "small",
		"not attribute:zone == a and agentConnected == true":     "large",
		"not (attribute:zone == a and agentConnected == true)":   "large remote",
		"attribute:zone == a or attribute:zone == b and ec2InstanceId == none":   "small",
		"(attribute:zone == a or attribute:zone == b) and ec2InstanceId == none": "",
		"(attribute:zone in [a] or (agentConnected == false))":                   "remote small",
	} {
		q, err := Parse(query)
		require.NoError(t, err, query)
		var got []string
		for _, name := range []string{"large", "remote", "small"} {
			if q.Matches(all[name]) {
				got = append(got, name)
			}
		}
		assert.Equal(t, want, strings.Join(got, " "), query)
	}
}

func TestQuery_AcceptsAnInstanceWithoutAttributes(t *testing.T) {
	q, err := Parse("attribute:a !exists")
	require.NoError(t, err)
	assert.True(t, q.Matches(Instance{}))
}

func TestQuery_NamesItsAttributes(t *testing.T) {
	q, err := Parse("not (attribute:b == x or attribute:a !exists) and agentConnected == true and attribute:b in [y]")
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, q.Attributes())
	assert.Empty(t, Query{}.Attributes())
}

const (
	subjects = "a subject: attribute:<name>, ec2InstanceId, agentConnected, agentVersion, " +
		"capacityProviderName or registeredAt"
	operators = "an operator: ==, !=, =~, !~, in, not_in, exists or !exists"
)

func TestParse_ReportsTheColumn(t *testing.T) {
	deep := strings.Repeat("(", maxNesting) + "attribute:a exists" + strings.Repeat(")", maxNesting)
	for query, want := range map[string]string{
		"zone == a":                 `column 1: "zone" is not ` + subjects,
		"attribute: == a":           `column 1: "attribute:" is not ` + subjects,
		"'attribute:a' == a":        `column 1: "attribute:a" is not ` + subjects,
		"attribute:zone = a":        `column 16: '=' must be in quotes`,
		"attribute:zone":            "column 15: the query ends where " + operators + " is expected",
		"attribute:zone > 5":        `column 16: only agentVersion and registeredAt have an order`,
		"ec2InstanceId less_than 5": `column 15: only agentVersion and registeredAt have an order`,
		"agentVersion >= new":       `column 17: agentVersion: "new" is not a version such as 1.86.2`,
		"agentVersion =~ 1.*":       `column 14: "=~" is not an operator: ==, !=, <, <=, >, >=, exists or !exists`,
		"agentVersion in [1.86]":    `column 14: "in" is not an operator: ==, !=, <, <=, >, >=, exists or !exists`,
		"registeredAt < yesterday": `column 16: registeredAt: "yesterday" is not a time such as 2026-01-31 or ` +
			`2026-01-31T13:00:00Z`,
		"registeredAt <":                `column 15: the query ends where a value is expected`,
		"runningTasksCount < 1":         "column 1: " + errTasksCount,
		"attribute:zone near a":         `column 16: "near" is not ` + operators,
		"attribute:zone ==":             `column 18: the query ends where a value is expected`,
		"attribute:zone == (a)":         `column 19: "(" is not a value`,
		"attribute:zone == 'a":          `column 19: the quotation has no end`,
		"attribute:zone == 'äö' ü":      `column 24: 'ü' must be in quotes`,
		"attribute:zone == a b":         `column 21: "b" is not and, or or the end of the query`,
		"attribute:zone == a and":       "column 24: the query ends where " + subjects + " is expected",
		"(attribute:zone == a":          `column 21: the query ends where a closing parenthesis, and or or is expected`,
		"attribute:zone == a)":          `column 20: ")" is not and, or or the end of the query`,
		"attribute:zone in a":           `column 19: "a" is not a list: [a, b]`,
		"attribute:zone in []":          `column 20: "]" is not a value`,
		"attribute:zone in [a b]":       `column 22: "b" is not a comma or ]`,
		"attribute:zone in [a)":         `column 21: ")" is not a comma or ]`,
		"attribute:zone =~ '('":         "column 19: not a pattern: missing closing ): `(`",
		"attribute:zone =~ 'a)|(b'":     "column 19: not a pattern: unexpected ): `a)|(b`",
		"agentConnected == yes":         `column 19: "yes" is not true or false`,
		"attribute:zone ! a":            `column 16: "!" is not ` + operators,
		"(" + deep + ")":                `column 33: nested deeper than 32`,
		strings.Repeat("x", MaxBytes+1): `column 1: the query is longer than 4096 bytes`,
		"attribute:a =~ " + strings.Repeat("a", maxPatternBytes+1):     `column 16: the pattern is longer than 256 bytes`,
		"attribute:a =~ '" + strings.Repeat(".{1000}", 5) + "'":        `column 16: the patterns repeat too much`,
		strings.Repeat("attribute:a =~ '.{1000}' or ", 5) + "a":        `column 128: the patterns repeat too much`,
		"attribute:a in [" + strings.Repeat("a,", maxListItems) + "a]": `column 217: more than 100 values`,
	} {
		_, err := Parse(query)
		var parseError *Error
		if assert.True(t, errors.As(err, &parseError), query) {
			assert.EqualError(t, err, want, query)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "attribute:zone == a", "attribute:ecs.instance-type =~ t3.* and not attribute:gpu exists",
		"ec2InstanceId in [i-1, 'i 2']", "agentVersion >= 1.9 and registeredAt < '2026-01-31T13:00:00Z'",
		"registeredAt != 2026-02-01 or agentVersion !exists", "capacityProviderName =~ s.*", "agentVersion <= 99999999999",
		"attribute:a =~ '.{1000}.{1000}' and not attribute:a !~ '(a|b)*c'",
		"(agentConnected == true or attribute:a !exists) && !(attribute:b not_in (x))", "attribute:a == 'ä",
		"attribute:a =~ '('", "((((", "not not",
		`attribute:a !~ "[" or`, "agentConnected == maybe", "attribute:a ! in [b]", "attribute:a !", "!", "attribute:a in [",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := Parse(text)
		if err != nil {
			var parseError *Error
			if !errors.As(err, &parseError) || parseError.Column < 1 || parseError.Column > len(text)+1 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		matches := q.Matches(small)
		for _, same := range []string{
			"(" + text + ")", "not not (" + text + ")", "(" + text + ") and (" + text + ")", text + " or (" + text + ")",
		} {
			again, err := Parse(same)
			if err == nil && strings.TrimSpace(text) != "" && again.Matches(small) != matches {
				t.Fatalf("%q is %t, and %q is not", text, matches, same)
			}
		}
		if strings.TrimSpace(text) == "" {
			return
		}
		if len(text) > MaxBytes-10 {
			return
		}
		opposite, err := Parse("not (" + text + ")")
		if err != nil { // deeper by one
			if !strings.Contains(err.Error(), "nested deeper") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if opposite.Matches(small) == matches {
			t.Fatalf("%q and its opposite", text)
		}
	})
}
