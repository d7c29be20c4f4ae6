package show

import "strings"

// WithClusters returns a style whose Cluster distinguishes clusters with these ARNs.
func (s Style) WithClusters(arns ...string) Style {
	byName := map[string]string{}
	s.sharedNames = map[string]bool{}
	for _, arn := range arns {
		name := (Style{}).ID(arn)
		if other, known := byName[name]; known && other != arn {
			s.sharedNames[name] = true
		}
		byName[name] = arn
	}
	return s
}

// Cluster returns the name in a cluster's ARN, and for a name that clusters share, "name (region/account)". With
// Style.Wide it returns the whole ARN.
func (s Style) Cluster(arn string) string {
	name, fields := s.ID(arn), strings.Split(arn, ":")
	if s.Wide || !s.sharedNames[name] || len(fields) < 6 {
		return name
	}
	return name + " (" + fields[3] + "/" + fields[4] + ")"
}
