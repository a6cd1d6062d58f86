#!/bin/sh
# Installs a server that speaks S3's protocol into .venv/s3, for the tests of stores (0.14 GB).
exec "$(dirname "$0")/venv.sh" s3 'moto[s3]==5.2.5' flask==3.1.3 flask-cors==6.0.5
