package filter

import (
	"slices"
	"strings"

	"github.com/blox/blox/internal/arn"
)

// Place matches clusters by their account and region. Its zero value matches every cluster.
type Place struct {
	Account Values
	Region  Values
}

// ParsePlace parses the query parameters account and region; an empty value is no filter. An error is a
// *ParameterError.
func ParsePlace(value func(name string) string) (p Place, err error) {
	for _, list := range []struct {
		parameter string
		into      *Values
		valid     func(string) bool
		accepted  string
	}{
		{"account", &p.Account, arn.IsAccount, "account IDs of 12 digits"},
		{"region", &p.Region, arn.IsRegion, "regions such as eu-west-1"},
	} {
		given := value(list.parameter)
		if *list.into, err = ParseValues(list.parameter, given, nil); err != nil {
			return p, err
		}
		if slices.ContainsFunc(list.into.List, func(value string) bool { return !list.valid(value) }) {
			return p, &ParameterError{list.parameter, given, list.accepted}
		}
	}
	return p, nil
}

// Matches reports whether a cluster, given by its ARN, matches.
func (p Place) Matches(clusterARN string) bool {
	if p.Account.IsEmpty() && p.Region.IsEmpty() {
		return true
	}
	const region, account = 3, 4 // arn:<partition>:ecs:<region>:<account>:cluster/<name>
	fields := strings.SplitN(clusterARN, ":", account+2)
	return len(fields) == account+2 && p.Region.Matches(fields[region]) && p.Account.Matches(fields[account])
}
