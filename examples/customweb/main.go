// Command customweb is a queuemgr with a route of its own, GET /api/custom, behind the same login as
// the API's.
//
//	go build -o customweb . && ./customweb service start
//	curl -H "Authorization: Bearer $(./customweb token add --role viewer -q ci)" http://127.0.0.1:5000/api/custom
package main

import (
	"encoding/json"
	"net/http"
	"os"

	"github.com/queuemgr/queuemgr"
	"github.com/queuemgr/queuemgr/job"
)

func main() {
	app := queuemgr.New()
	app.HandleFunc("GET /api/custom", custom)
	os.Exit(app.Main())
}

func custom(w http.ResponseWriter, r *http.Request) {
	caller, _ := job.CallerFrom(r.Context()) // there is one: nobody comes here without a login
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"message": "hello from a route of my own", "you": caller.Name}) // who has gone away reads nothing
}
