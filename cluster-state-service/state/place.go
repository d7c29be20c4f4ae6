package state

import (
	"regexp"
	"strings"
)

// PlaceFilter matches clusters by their account and region. Its zero value matches every cluster.
type PlaceFilter struct {
	Account Values
	Region  Values
}

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// ParsePlaceFilter parses the query parameters account and region; an empty value is no filter. An error is a
// *ParameterError.
func ParsePlaceFilter(value func(name string) string) (f PlaceFilter, err error) {
	if f.Account, err = parseValues("account", value("account"), nil); err != nil {
		return f, err
	}
	for _, account := range f.Account.List {
		if !accountID.MatchString(account) {
			return f, &ParameterError{"account", value("account"), "account IDs of 12 digits"}
		}
	}
	f.Region, err = parseValues("region", value("region"), nil)
	return f, err
}

// Matches reports whether a cluster, given by its ARN, matches.
func (f PlaceFilter) Matches(clusterARN string) bool {
	if f.Account.IsEmpty() && f.Region.IsEmpty() {
		return true
	}
	const region, account = 3, 4 // arn:<partition>:ecs:<region>:<account>:cluster/<name>
	fields := strings.SplitN(clusterARN, ":", account+2)
	return len(fields) == account+2 && f.Region.Matches(fields[region]) && f.Account.Matches(fields[account])
}
