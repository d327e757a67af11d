package httpapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
)

// openAPIPath is where the document is served.
const openAPIPath = "/api/openapi.json"

// openAPI is the document of allRoutes. TestDocument fails when it is not what the routes and types
// of this package make, and writes it anew.
//
//go:generate go test -run ^TestDocument$ -update .
//go:embed openapi.json
var openAPI []byte

// versionInFile stands where the program's version is served.
const versionInFile = "as served"

// withVersion returns the document of a program.
func withVersion(version string) ([]byte, error) {
	quoted, err := json.Marshal(version)
	if err != nil {
		return nil, err
	}
	return bytes.Replace(openAPI, []byte(`"`+versionInFile+`"`), quoted, 1), nil
}
