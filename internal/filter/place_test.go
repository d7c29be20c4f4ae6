package filter

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parsePlace(t *testing.T, raw string) (Place, error) {
	t.Helper()
	query, err := url.ParseQuery(raw)
	require.NoError(t, err)
	return ParsePlace(query.Get)
}

func TestPlace_RejectsWhatIsNoAccountOrRegion(t *testing.T) {
	for raw, want := range map[string]string{
		"account=prod":            `Invalid account "prod": must be account IDs of 12 digits`,
		"account=123456789012,1":  `Invalid account "123456789012,1": must be account IDs of 12 digits`,
		"account=!12345678901x":   `Invalid account "!12345678901x": must be account IDs of 12 digits`,
		"account=!":               `Invalid account "!": must be values separated by commas, after one ! to exclude them`,
		"region=,":                `Invalid region ",": must be values separated by commas, after one ! to exclude them`,
		"region=EU-West-1":        `Invalid region "EU-West-1": must be regions such as eu-west-1`,
		"region=!eu-west-1,paris": `Invalid region "!eu-west-1,paris": must be regions such as eu-west-1`,
	} {
		_, err := parsePlace(t, raw)
		assert.ErrorIs(t, err, ErrInvalid, raw)
		assert.EqualError(t, err, want)
	}
}

func TestPlace_MatchesAccountsAndRegions(t *testing.T) {
	const (
		irish = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"
		other = "arn:aws:ecs:us-east-1:210987654321:cluster/prod"
	)
	for raw, want := range map[string][2]bool{
		"":                                       {true, true},
		"account=&region=":                       {true, true},
		"account=123456789012":                   {true, false},
		"account=!123456789012":                  {false, true},
		"region=us-east-1":                       {false, true},
		"region=us-east-1,eu-west-1":             {true, true},
		"region=!us-east-1,eu-west-1":            {false, false},
		"account=123456789012&region=us-east-1":  {false, false},
		"account=123456789012&region=!us-east-1": {true, false},
	} {
		p, err := parsePlace(t, raw)
		require.NoError(t, err)
		assert.Equal(t, want, [2]bool{p.Matches(irish), p.Matches(other)}, raw)
	}
}

func TestPlace_MatchesNoMalformedCluster(t *testing.T) {
	p := Place{Region: Values{List: []string{"us-east-1"}, Excluded: true}}
	assert.True(t, p.Matches("arn:aws:ecs:eu-west-1:123456789012:cluster/prod"))
	assert.False(t, p.Matches("prod"), "its region is unknown")
	assert.True(t, Place{}.Matches("prod"))
}
