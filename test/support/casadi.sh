#!/bin/sh
# Installs CasADi into .venv/casadi, for the test that has it take derivatives from our files (0.2 GB).
exec "$(dirname "$0")/venv.sh" casadi casadi==3.8.2 numpy==2.4.6
